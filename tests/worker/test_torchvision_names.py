"""torchvision's MobileNetV2 under transformers' names gives the numbers that it gave under its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import AutoModelForImageClassification

from tunesmith.spec.errors import PullFailed
from tunesmith.worker.torchvision_names import convert_mobilenet


def convolution(inputs: int, outputs: int, size: int = 1, stride: int = 1, groups: int = 1) -> nn.Sequential:
    layer = nn.Conv2d(inputs, outputs, size, stride, (size - 1) // 2, groups=groups, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs), nn.ReLU6())


class Block(nn.Module):
    """One block of the paper (https://arxiv.org/abs/1801.04381), its layers numbered as torchvision numbers them."""

    def __init__(self, inputs: int, outputs: int, stride: int, wider: int) -> None:
        super().__init__()
        within = inputs * wider
        layers: list[nn.Module] = [convolution(inputs, within)] if wider > 1 else []
        layers += [convolution(within, within, 3, stride, within), nn.Conv2d(within, outputs, 1, bias=False)]
        self.conv = nn.Sequential(*layers, nn.BatchNorm2d(outputs))
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Any) -> Any:
        return x + self.conv(x) if self.adds else self.conv(x)


class MobileNet(nn.Module):
    """The network of the paper, its layers numbered as torchvision numbers them."""

    def __init__(self) -> None:
        super().__init__()
        layers, inputs = [convolution(3, 32, 3, 2)], 32
        for wider, outputs, count, stride in (
            (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
        ):  # fmt: skip
            for number in range(count):
                layers.append(Block(inputs, outputs, stride if number == 0 else 1, wider))
                inputs = outputs
        self.features = nn.Sequential(*layers, convolution(320, 1280))
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, 1000))

    def forward(self, x: Any) -> Any:
        return self.classifier(self.features(x).mean((2, 3)))


def test_the_same_pictures_give_the_same_numbers(tmp_path: Path) -> None:
    torch.manual_seed(0)
    theirs = MobileNet()
    theirs(torch.randn(4, 3, 64, 64))  # so that batch normalisation has seen something
    torch.save(theirs.state_dict(), tmp_path / "weights.pth")
    parameters = convert_mobilenet(tmp_path / "weights.pth", tmp_path / "model")
    ours = AutoModelForImageClassification.from_pretrained(tmp_path / "model").eval()
    pictures = torch.randn(2, 3, 64, 64)
    assert torch.allclose(ours(pixel_values=pictures).logits, theirs.eval()(pictures), atol=1e-4)
    assert parameters == sum(each.numel() for each in theirs.parameters())


def test_other_weights_are_refused(tmp_path: Path) -> None:
    torch.save({"layer.weight": torch.zeros(2)}, tmp_path / "weights.pth")
    with pytest.raises(PullFailed, match="its weights are not those of a MobileNetV2"):
        convert_mobilenet(tmp_path / "weights.pth", tmp_path / "model")
