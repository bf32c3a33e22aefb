"""One cell in one process: data, teacher, student, evaluation. Imports torch.

cell                training and evaluation of the student of one cell
cell_result         what was measured of a cell; does not import torch
data                loading a dataset's arrays from the cache
data_preparation    loading a dataset and storing its arrays in the cache
teacher             training of members, and their outputs
teacher_cache       teachers in the cache: the pieces that are missing are trained
training_inputs     what teachers and students are trained with
student             building and training students, and their predictions
forecast            how long a run takes, from timed training steps
evaluation          a room: values of metrics, arrays for figures, cost
optimization        a room: the training loop, the optimizer, checkpoints
hardware            a room: device and precision, and the speed of bfloat16
"""

__all__ = [
    "cell",
    "cell_result",
    "data",
    "data_preparation",
    "evaluation",
    "forecast",
    "hardware",
    "optimization",
    "student",
    "teacher",
    "teacher_cache",
    "training_inputs",
]
