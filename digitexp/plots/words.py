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
        # gallery
        "the validation part": "验证集",
        "{count} images of {part}": "{part}的 {count} 张图像",
        "{shown} of {total} images of {part}, at random: {right} right, {wrong} wrong": (
            "从{part}的 {total} 张图像中随机取 {shown} 张：{right} 张正确，{wrong} 张错误"
        ),
        "All {total} images of {part}: {right} right, {wrong} wrong": (
            "{part}的全部 {total} 张图像：{right} 张正确，{wrong} 张错误"
        ),
        "actual | predicted;  {cross} and a thick frame: wrong": (
            "真实 | 预测；  {cross} 和粗框：错误"
        ),
        "No error among {among}": "{among}中没有错误",
        "1 error among {among}": "{among}中有 1 个错误",
        "{errors} errors among {among}": "{among}中有 {errors} 个错误",
        "{shown} of {errors} errors among {among}": "{among}中有 {errors} 个错误，展示 {shown} 个",
        "actual | predicted, and how probable that was said to be; the most confident first": (
            "真实 | 预测，以及给出的概率；最有把握的排在最前"
        ),
        # pairs
        "No two classes were confused": "没有任何两个类别被混淆",
        "Most confused: {shown} of {pairs} pairs, {drawn} of {errors} errors": (
            "最易混淆：{pairs} 对中的 {shown} 对，{errors} 个错误中的 {drawn} 个"
        ),
        "a pair is counted both ways: the more frequent one first, then the other, paler": (
            "每对按两个方向计数：先是较多的方向，再是另一方向（颜色较浅）"
        ),
        "{first} as {second}: {there},  {second} as {first}: {back}   ({share} of all errors)": (
            "{first} 认作 {second}：{there}，{second} 认作 {first}：{back}（占全部错误的 {share}）"
        ),
        # reliability
        "{images} validation images of {name}": "{name} 的 {images} 张验证图像",
        "As the network says it, T = 1": "网络原本给出的概率，T = 1",
        "Fitted on other images, T = {spread}": "在其他图像上拟合，T = {spread}",
        "{low} to {high}": "{low} 至 {high}",
        "confidence of the answer": "回答的置信度",
        "share right, 95 % interval": "正确的比例，95 % 区间",
        "its distance from the confidence": "与置信度之差",
        "as often right as sure": "正确率等于置信度",
        "small numbers: images in each bin": "小号数字：每个区间的图像数",
        # titles: parts of a configuration, and why a training ended
        "learning rate": "学习率",
        "batch": "批大小",
        "no hidden layer": "无隐藏层",
        "early stopping": "早停",
        "max epochs": "达到最大轮次",
        "diverged": "发散",
    }
)
