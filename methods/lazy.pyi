import torch as torch
from torch.nn import functional as functional

from methods import predictions as predictions
from methods.networks import heads as heads
