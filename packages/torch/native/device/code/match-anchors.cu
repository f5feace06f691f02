// The assignment of boxes to objects, as kernels/match-anchors.cc defines it: with the objects in shared memory each box meets all
// of them, and no matrix of overlaps is made.
#include "device/code/scalar.cuh"

#include "arithmetic/box-overlap.h"
#include "device/code/match-problem.h"

namespace goshawk {

constexpr int kMatchThreads = 256;
constexpr int kBoxesPerThread = 4;
/** Objects in shared memory at a time. */
constexpr int kObjectTile = 128;

struct ObjectTile {
  float boxes[kObjectTile * 4];
  bool present[kObjectTile];
};

/** Brings objects [from, from + size) of this block's image. */
__device__ inline void load_objects(const MatchProblem& problem, int from, int size, ObjectTile& tile) {
  const int64_t base = static_cast<int64_t>(blockIdx.y) * problem.object_count + from;
  for (int i = static_cast<int>(threadIdx.x); i < size * 4; i += kMatchThreads) {
    tile.boxes[i] = problem.objects[base * 4 + i];
  }
  for (int i = static_cast<int>(threadIdx.x); i < size; i += kMatchThreads) {
    tile.present[i] = problem.present == nullptr || problem.present[base + i] != 0;
  }
}

__device__ inline bool takes_part_in_match(const MatchProblem& problem, int box) {
  return box < problem.box_count &&
      (problem.taking_part == nullptr ||
       problem.taking_part[static_cast<int64_t>(blockIdx.y) * problem.box_count + box] != 0);
}

__device__ inline const float* box_to_match(const MatchProblem& problem, int box) {
  return problem.boxes + blockIdx.y * problem.box_step + static_cast<int64_t>(box) * 4;
}

__device__ inline float overlap_with(const Box<float>& box, const float* object, float extra) {
  return iou(box.x1, box.y1, box.x2, box.y2, box.area, Box<float>(object, extra), extra);
}

/**
 * The largest IoU of each object, [images, object_count], as the bits of a float of at least 0, which are in the order of the floats.
 * `best` holds zeros before. Grid: x is tiles of 1,024 boxes, y the image.
 */
GOSHAWK_KERNEL void __launch_bounds__(256) match_object_best(MatchProblem problem, int* best) {
  __shared__ ObjectTile tile;
  __shared__ int tops[kObjectTile];
  const int thread = static_cast<int>(threadIdx.x);
  const float nowhere[4] = {0.0f, 0.0f, 0.0f, 0.0f};
  Box<float> boxes[kBoxesPerThread] = {
      Box<float>(nowhere, 0.0f), Box<float>(nowhere, 0.0f), Box<float>(nowhere, 0.0f), Box<float>(nowhere, 0.0f)};
  bool takes_part[kBoxesPerThread];
  for (int b = 0; b < kBoxesPerThread; ++b) {
    const int box = (static_cast<int>(blockIdx.x) * kBoxesPerThread + b) * kMatchThreads + thread;
    takes_part[b] = takes_part_in_match(problem, box);
    if (takes_part[b]) {
      boxes[b] = Box<float>(box_to_match(problem, box), problem.extra);
    }
  }
  for (int from = 0; from < problem.object_count; from += kObjectTile) {
    const int left = problem.object_count - from;
    const int size = left < kObjectTile ? left : kObjectTile;
    load_objects(problem, from, size, tile);
    if (thread < size) {
      tops[thread] = 0;
    }
    __syncthreads();
    for (int g = 0; g < size; ++g) {
      if (!tile.present[g]) {
        continue;
      }
      float top = 0.0f;
      for (int b = 0; b < kBoxesPerThread; ++b) {
        const float overlap = overlap_with(boxes[b], tile.boxes + g * 4, problem.extra);
        top = takes_part[b] && overlap > top ? overlap : top;
      }
      int bits = __float_as_int(top);
      for (int distance = 16; distance > 0; distance /= 2) {
        const int other = __shfl_xor_sync(0xffffffffu, bits, distance);
        bits = other > bits ? other : bits;
      }
      if (thread % 32 == 0 && bits > 0) {
        atomicMax(&tops[g], bits);
      }
    }
    __syncthreads();
    if (thread < size && tops[thread] > 0) {
      atomicMax(&best[static_cast<int64_t>(blockIdx.y) * problem.object_count + from + thread], tops[thread]);
    }
    __syncthreads();
  }
}

/** The best of the objects that a box has met. */
struct BestObject {
  float overlap;
  /** -1: none was met. */
  int object;

  __device__ void meet(float other, int number) {
    // The first is its best whatever the overlap, which counts as 0 where it is not a number.
    if (object < 0 || other > overlap) {
      object = number;
    }
    overlap = other > overlap ? other : overlap;
  }

  /** -1 below `low`, -2 between the thresholds, else the object. */
  __device__ int match(float low, float high) const {
    return object < 0 || overlap < low ? -1 : overlap < high ? -2 : object;
  }
};

/**
 * The match of each box, [images, box_count]. `best` is that of match_object_best, needed for claims alone. Grid: x is tiles of
 * 256 boxes, y the image.
 */
GOSHAWK_KERNEL void __launch_bounds__(256) match_boxes(MatchProblem problem, const int* best, int64_t* matches) {
  __shared__ ObjectTile tile;
  __shared__ float tops[kObjectTile];
  const int thread = static_cast<int>(threadIdx.x);
  const int number = static_cast<int>(blockIdx.x) * kMatchThreads + thread;
  const bool takes_part = takes_part_in_match(problem, number);
  BestObject own = {0.0f, -1};
  BestObject claimant = {0.0f, -1};
  int claimed_by = -1;
  for (int from = 0; from < problem.object_count; from += kObjectTile) {
    const int left = problem.object_count - from;
    const int size = left < kObjectTile ? left : kObjectTile;
    load_objects(problem, from, size, tile);
    if (problem.claims && thread < size) {
      tops[thread] =
          __int_as_float(best[static_cast<int64_t>(blockIdx.y) * problem.object_count + from + thread]);
    }
    __syncthreads();
    if (takes_part) {
      const Box<float> box(box_to_match(problem, number), problem.extra);
      for (int g = 0; g < size; ++g) {
        if (!tile.present[g]) {
          continue;
        }
        const float overlap = overlap_with(box, tile.boxes + g * 4, problem.extra);
        own.meet(overlap, from + g);
        if (!problem.claims || tops[g] < problem.lowest_best_iou) {
          continue;
        }
        claimant.meet(overlap, from + g);
        const float value = overlap > 0.0f ? overlap : 0.0f;
        if (value == tops[g] && !(problem.last_claims && tops[g] == 0.0f)) {
          claimed_by = from + g;
        }
      }
    }
    __syncthreads();
  }
  if (number >= problem.box_count) {
    return;
  }
  int match = -2;
  if (takes_part) {
    match = own.match(problem.low, problem.high);
    int claim = claimant.match(problem.low, problem.high);
    if (claimed_by >= 0) {
      claim = problem.last_claims ? claimed_by : claimant.object;
    }
    match = claim >= 0 ? claim : match;
  }
  matches[static_cast<int64_t>(blockIdx.y) * problem.box_count + number] = match;
}

} // namespace goshawk
