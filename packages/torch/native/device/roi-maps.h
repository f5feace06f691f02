// A pyramid of feature maps as kernels take it, by value. For the host and for device code.
#pragma once

#include "arithmetic/both.h"

namespace goshawk {

constexpr int kMostRoiMaps = 16;

struct RoiMaps {
  /** Of the images' values, or of the sums of their gradients. */
  void* data[kMostRoiMaps];
  /** From image to map coordinates. */
  double scale[kMostRoiMaps];
  int height[kMostRoiMaps];
  int width[kMostRoiMaps];
  int images[kMostRoiMaps];
  int count;
  int channels;
  /** Whether the channels of a pixel lie side by side, in the maps and in the bins. */
  int channels_last;
};

struct RoiBins {
  int height;
  int width;
  int sampling_ratio;
  int aligned;
  /** Rows of bins that one block has; blocks of the grid's second dimension share a RoI. */
  int rows_of_block;
};

} // namespace goshawk
