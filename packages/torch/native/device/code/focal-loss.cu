// Sigmoid focal loss with its gradient in one pass over the logits, as kernels/focal-loss.cc defines it.
#include "device/code/scalar.cuh"

#include "arithmetic/focal-loss.h"
#include "device/code/focal-problem.h"
#include "device/code/vectors.cuh"

namespace goshawk {

constexpr int kFocalThreads = 256;
/** Values that a thread takes at a time. */
constexpr int kLogitsAtOnce = 4;

/** The sum over a block's threads, in its first, always in the same order. */
__device__ inline double sum_of_block(double value, double* sums) {
  for (int distance = 16; distance > 0; distance /= 2) {
    value += __shfl_down_sync(0xffffffffu, value, distance);
  }
  if (threadIdx.x % 32 == 0) {
    sums[threadIdx.x / 32] = value;
  }
  __syncthreads();
  double total = 0;
  for (unsigned warp = 0; threadIdx.x == 0 && warp < blockDim.x / 32; ++warp) {
    total += sums[warp];
  }
  __syncthreads();
  return total;
}

template <bool kSquare>
__device__ inline double focal_rows(
    const FocalProblem& problem, const Scalar* logits, Scalar* gradient, bool is_aligned) {
  const int classes = problem.classes;
  const int64_t image_row = static_cast<int64_t>(blockIdx.y) * problem.rows;
  const int first_row = static_cast<int>(blockIdx.x) * problem.rows_per_block;
  const int left = problem.rows - first_row;
  const int rows = left < problem.rows_per_block ? left : problem.rows_per_block;
  const int64_t start = (image_row + first_row) * classes;
  const int64_t* targets = problem.targets + image_row + first_row;
  const double weight = problem.weights[blockIdx.y];
  const Wide gamma = static_cast<Wide>(problem.gamma);
  const Wide absent_scale = static_cast<Wide>((1 - problem.alpha) * weight);
  const Wide present_scale = static_cast<Wide>(-problem.alpha * weight);
  double absent_sum = 0;
  double present_sum = 0;
  const int values = rows * classes;
  for (int at = static_cast<int>(threadIdx.x) * kLogitsAtOnce; at < values; at += kFocalThreads * kLogitsAtOnce) {
    const bool is_whole = is_aligned && at + kLogitsAtOnce <= values;
    Wide x[kLogitsAtOnce];
    Wide slope[kLogitsAtOnce];
    if (is_whole) {
      load_values<kLogitsAtOnce>(logits + start + at, x);
    } else {
      for (int i = 0; i < kLogitsAtOnce; ++i) {
        x[i] = at + i < values ? widen(logits[start + at + i]) : Wide(0);
      }
    }
    int row = at / classes;
    int column = at - row * classes;
    // A target that is no class, which the CPU's kernel refuses, is met by no column: it counts as none.
    int64_t target = targets[row];
    Wide losses = 0;
    for (int i = 0; i < kLogitsAtOnce; ++i) {
      const bool is_counted = at + i < values && target != kFocalIgnored;
      const bool is_present = target == column;
      const FocalTerm<Wide> term = focal_term<kSquare>(is_present ? -x[i] : x[i], gamma);
      slope[i] = is_counted ? (is_present ? present_scale : absent_scale) * term.gradient : Wide(0);
      losses += is_counted && !is_present ? term.loss : Wide(0);
      if (is_counted && is_present) {
        present_sum += static_cast<double>(term.loss);
      }
      if (++column == classes && at + i + 1 < values) {
        column = 0;
        target = targets[++row];
      }
    }
    absent_sum += static_cast<double>(losses);
    if (gradient == nullptr) {
      continue;
    }
    if (is_whole) {
      store_values<kLogitsAtOnce>(slope, gradient + start + at);
    } else {
      for (int i = 0; i < kLogitsAtOnce && at + i < values; ++i) {
        gradient[start + at + i] = narrow<Scalar>(slope[i]);
      }
    }
  }
  return weight * ((1 - problem.alpha) * absent_sum + problem.alpha * present_sum);
}

/** partial: [images, blocks] sums of rows_per_block anchors. gradient: null where none is wanted. Grid: y is the image. */
GOSHAWK_KERNEL void __launch_bounds__(256) focal_loss_pass(
    FocalProblem problem, const Scalar* logits, Scalar* gradient, int is_aligned, double* partial) {
  __shared__ double sums[kFocalThreads / 32];
  const double own = problem.gamma == 2 ? focal_rows<true>(problem, logits, gradient, is_aligned != 0)
                                        : focal_rows<false>(problem, logits, gradient, is_aligned != 0);
  const double total = sum_of_block(own, sums);
  if (threadIdx.x == 0) {
    partial[static_cast<int64_t>(blockIdx.y) * gridDim.x + blockIdx.x] = total;
  }
}

/** The sum of them all, by one block. */
GOSHAWK_KERNEL void __launch_bounds__(256) focal_loss_total(const double* partial, int64_t count, Wide* loss) {
  __shared__ double sums[kFocalThreads / 32];
  double own = 0;
  for (int64_t i = threadIdx.x; i < count; i += kFocalThreads) {
    own += partial[i];
  }
  const double total = sum_of_block(own, sums);
  if (threadIdx.x == 0) {
    *loss = static_cast<Wide>(total);
  }
}

} // namespace goshawk
