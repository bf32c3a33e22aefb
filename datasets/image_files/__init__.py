"""Image files: finding them in folders, decoding them, and datasets that are made of them.

image_dataset       the base class of image datasets, and held-out validation splits
class_folders       the class folders of train/, test/ and val/
folder_listing      the images in a folder, and what is skipped or refused
image_formats       the formats that are read
image_decoding      first bytes and pixels of image files
duplicates          remarks about images that occur more than once
torchvision_import  torchvision.datasets, imported on first use
read_errors         failures of reading and downloading as BadData
"""
