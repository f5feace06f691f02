// Candidates for suppression as the kernels of nms.cu pass them on.
#pragma once

#include "arithmetic/both.h"

namespace goshawk {

/**
 * Of each image its `count` candidates, each array [images, count] unless it says otherwise. A candidate's place is its number in
 * the order of group, score, index; its rank that in the order of score, index. Those that take no part come last in both.
 */
template <typename T>
struct SuppressionOrder {
  int count;
  /** By place: [images, count, 4]. */
  T* boxes;
  /** By place: those of the candidate's group lie in [first, end), which is empty where it takes no part. */
  int* first;
  int* end;
  /** By place. */
  int* rank;
  /** By rank: the candidate's index. */
  int* by_score;
  /** By rank: 1 where it is kept. */
  uint8_t* kept;
};

} // namespace goshawk
