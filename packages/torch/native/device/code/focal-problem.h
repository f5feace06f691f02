// What the kernels of focal-loss.cu take beside the logits.
#pragma once

#include "arithmetic/both.h"

namespace goshawk {

struct FocalProblem {
  /** [images, rows]. */
  const int64_t* targets;
  /** [images]. */
  const double* weights;
  /** Anchors of an image. */
  int rows;
  int classes;
  /** Anchors of a partial sum. */
  int rows_per_block;
  double alpha;
  double gamma;
};

} // namespace goshawk
