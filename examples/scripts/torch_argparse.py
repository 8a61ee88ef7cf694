"""A PyTorch network for 8x8 digits; options by argparse, a line of text per epoch."""

import argparse

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--lr", type=float, default=0.05, help="learning rate")
parser.add_argument("--width", type=int, default=32, help="units of the hidden layer")
parser.add_argument("--dropout", type=float, default=0.1)
parser.add_argument("--epochs", type=int, default=8)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()

torch.manual_seed(args.seed)
torch.set_num_threads(1)
digits = load_digits()
parts = train_test_split(digits.data / 16, digits.target, test_size=0.25, random_state=0)
train_x, val_x = (torch.tensor(part, dtype=torch.float32) for part in parts[:2])
train_y, val_y = (torch.tensor(part) for part in parts[2:])

model = torch.nn.Sequential(
    torch.nn.Linear(64, args.width),
    torch.nn.ReLU(),
    torch.nn.Dropout(args.dropout),
    torch.nn.Linear(args.width, 10),
)
optimizer = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=0.9)
for epoch in range(1, args.epochs + 1):
    model.train()
    for batch in torch.randperm(len(train_x)).split(32):
        loss = torch.nn.functional.cross_entropy(model(train_x[batch]), train_y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        accuracy = (model(val_x).argmax(1) == val_y).double().mean()
    print(f"Epoch {epoch}/{args.epochs}: loss {loss:.4f}, val_acc {accuracy:.4f}")
