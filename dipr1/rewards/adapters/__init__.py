"""The rewards as other trainers call them: verl, EasyR1, ms-swift.

None of them turns an image that it opens by the artifact's path as its EXIF orientation says, nor
scales 16 bits to eight or resizes it to the frame, as the boxes want it: hand over images that
``dipr1.policies.load.load_image(*image_source(row))`` has opened and that were saved as PNG.
"""
