// Binary masks stored as crops: rows of (offset into the data, x, y, width, height).
#pragma once

#include "arithmetic/both.h"

namespace goshawk {

GOSHAWK_BOTH bool crop_is_in_image(const int64_t* row, int64_t image_height, int64_t image_width) {
  return row[1] >= 0 && row[2] >= 0 && row[3] >= 0 && row[4] >= 0 && row[1] <= image_width && row[2] <= image_height &&
      row[3] <= image_width - row[1] && row[4] <= image_height - row[2];
}

/** For a crop that lies in the image. */
GOSHAWK_BOTH bool crop_is_in_data(const int64_t* row, int64_t bytes) {
  return row[0] >= 0 && row[0] <= bytes && row[3] * row[4] <= bytes - row[0];
}

} // namespace goshawk
