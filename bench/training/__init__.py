"""One cell in one process: data, teacher, student, evaluation."""
