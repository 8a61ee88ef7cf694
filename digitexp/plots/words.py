"""Every word a picture may show, in English and in Chinese; stated once.

Words of the field follow the usage of Chinese textbooks (Zhou Zhihua, Machine Learning, 2016).
Names in braces are filled in by the picture. Words that Chinese texts leave in English (ReLU,
sigmoid, dropout, L2) are not here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["CHINESE", "LANGUAGES", "SEPARATOR"]

LANGUAGES = ("en", "zh")

SEPARATOR = "  ·  "
"""Between the parts of a title that describes a configuration."""

CHINESE: Mapping[str, str] = MappingProxyType(
    {
        # curves
        "loss": "损失",
        "accuracy": "准确率",
        "{name} (logarithmic)": "{name}（对数坐标）",
        "epoch": "训练轮次",
        "training": "训练集",
        "validation": "验证集",
        "learning rate falls": "学习率下降",
        "best epoch {epoch}: {value}": "最佳轮次 {epoch}：{value}",
        # confusion matrix
        "Validation after epoch {epoch}: {right} of {total} right ({share})": (
            "第 {epoch} 轮后的验证集：{total} 张中 {right} 张正确（{share}）"
        ),
        "predicted": "预测类别",
        "true": "真实类别",
        "recall": "召回率",
        # preview
        "{shown} of {total} images, {height}x{width}": (
            "共 {total} 张图像，展示 {shown} 张，每张 {height}×{width} 像素"
        ),
        # activations
        "value": "函数值",
        "slope: what a gradient is multiplied by": "斜率：梯度所乘的因子",
        # robustness
        "accuracy on attacked images": "受攻击图像上的准确率",
        "size of the attack (FGSM), in pixel values from 0 to 1": (
            "攻击强度（FGSM），以 0 到 1 的像素值计"
        ),
        # titles: parts of a configuration, and why a training ended
        "learning rate": "学习率",
        "batch": "批大小",
        "no hidden layer": "无隐藏层",
        "early stopping": "早停",
        "max epochs": "达到最大轮次",
        "diverged": "发散",
    }
)
