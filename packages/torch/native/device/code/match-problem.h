// Boxes to match and the objects to match them with, as the kernels of match-anchors.cu take them.
#pragma once

#include "arithmetic/both.h"

namespace goshawk {

/** The arguments of match_batch (kernels/match-anchors.cc). */
struct MatchProblem {
  /** [images, object_count, 4]. */
  const float* objects;
  /** [images, object_count] bool; null: all are. */
  const uint8_t* present;
  /** [images, box_count, 4], or [box_count, 4] with a box_step of 0. */
  const float* boxes;
  /** Values from one image's boxes to the next's. */
  int64_t box_step;
  /** [images, box_count] bool; null: all do. */
  const uint8_t* taking_part;
  int object_count;
  int box_count;
  float low;
  float high;
  float extra;
  /** Objects give themselves boxes: allow_low_quality. */
  bool claims;
  bool last_claims;
  /** Only those whose best IoU is at least this; 0: all. */
  float lowest_best_iou;
};

} // namespace goshawk
