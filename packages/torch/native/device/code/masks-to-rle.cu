// Pastes masks into the image as kernels/masks-to-rle.cc defines it, as bits of whole images, columns first, and turns these into run
// lengths: a run ends where a bit differs from the one before it.
#include "device/code/scalar.cuh"

#include "arithmetic/mask-paste.h"

namespace goshawk {

/** The value at row y and column x of a mask with its border of zeros. */
__device__ inline float padded_value(const float* mask, int resolution, int padding, int x, int y) {
  const int column = x - padding;
  const int row = y - padding;
  return column >= 0 && column < resolution && row >= 0 && row < resolution ? mask[row * resolution + column] : 0.0f;
}

__device__ inline bool pasted_pixel(
    const float* mask, int resolution, const PixelBox& box, const PasteRule& rule, int x, int y) {
  const int padding = static_cast<int>(rule.padding);
  const int side = resolution + 2 * padding;
  const PasteTap across = paste_tap(x - box.x1, box.width(), side);
  const PasteTap down = paste_tap(y - box.y1, box.height(), side);
  const int left = static_cast<int>(across.low), right = static_cast<int>(across.high);
  const int upper = static_cast<int>(down.low), lower = static_cast<int>(down.high);
  const float left_weight = 1.0f - across.high_weight;
  const float a = left_weight * padded_value(mask, resolution, padding, left, upper) +
      across.high_weight * padded_value(mask, resolution, padding, right, upper);
  const float b = left_weight * padded_value(mask, resolution, padding, left, lower) +
      across.high_weight * padded_value(mask, resolution, padding, right, lower);
  const float margin = rule.margin();
  if (a > rule.threshold + margin && b > rule.threshold + margin) {
    return true;
  }
  if (a < rule.threshold - margin && b < rule.threshold - margin) {
    return false;
  }
  return rule.keeps((1.0f - down.high_weight) * a + down.high_weight * b);
}

/** bits: [masks, words], pixel x * height + y of the image in bit (x * height + y) % 32. Grid: y is the mask. */
GOSHAWK_KERNEL void __launch_bounds__(256) paste_masks(
    const float* masks, const float* boxes, int resolution, PasteRule rule, int words, uint32_t* bits) {
  __shared__ PixelBox box;
  __shared__ PasteArea reach;
  if (threadIdx.x == 0) {
    const float* own = boxes + static_cast<int64_t>(blockIdx.y) * 4;
    box = expanded_box(own, resolution, rule.padding);
    reach = paste_area(box, rule);
    if (!is_finite_box(own)) {
      reach.right = reach.left;
    }
  }
  __syncthreads();
  // Below 2^31 + 256.
  const uint32_t pixel = static_cast<uint32_t>(blockIdx.x) * 256u + threadIdx.x;
  const uint32_t height = static_cast<uint32_t>(rule.height);
  const int64_t x = pixel / height;
  const int64_t y = pixel % height;
  bool is_set = false;
  if (x >= reach.left && x < reach.right && y >= reach.top && y < reach.bottom) {
    const float* mask = masks + static_cast<int64_t>(blockIdx.y) * resolution * resolution;
    is_set = pasted_pixel(mask, resolution, box, rule, static_cast<int>(x), static_cast<int>(y));
  }
  const uint32_t flags = __ballot_sync(0xffffffffu, is_set);
  const uint32_t word = pixel / 32u;
  if (threadIdx.x % 32 == 0 && word < static_cast<uint32_t>(words)) {
    bits[static_cast<int64_t>(blockIdx.y) * words + word] = flags;
  }
}

/** A bit for each pixel of a word that differs from the one before it; before the first comes a zero. */
__device__ inline uint32_t run_starts(const uint32_t* bits, int word, int64_t area) {
  const uint32_t own = bits[word];
  const uint32_t before = word > 0 ? bits[word - 1] >> 31 : 0u;
  const int64_t left = area - static_cast<int64_t>(word) * 32;
  const uint32_t inside = left >= 32 ? 0xffffffffu : (1u << left) - 1u;
  return (own ^ (own << 1 | before)) & inside;
}

/** The sum over the block, in all its threads, of `value`, and in `before` that of the threads before this one. */
__device__ inline int scan_block(int value, int* sums, int& before) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int warp = static_cast<int>(threadIdx.x / 32);
  int running = value;
  for (int distance = 1; distance < 32; distance *= 2) {
    const int other = __shfl_up_sync(0xffffffffu, running, distance);
    running += lane >= distance ? other : 0;
  }
  if (lane == 31) {
    sums[warp] = running;
  }
  __syncthreads();
  before = running - value;
  int all = 0;
  for (int i = 0; i < static_cast<int>(blockDim.x) / 32; ++i) {
    before += i < warp ? sums[i] : 0;
    all += sums[i];
  }
  __syncthreads();
  return all;
}

/** The number of run lengths of each mask. A block a mask. */
GOSHAWK_KERNEL void __launch_bounds__(1024) count_mask_runs(
    const uint32_t* bits, int words, int64_t area, int64_t* runs) {
  __shared__ int sums[32];
  const uint32_t* own = bits + static_cast<int64_t>(blockIdx.x) * words;
  int starts = 0;
  for (int word = static_cast<int>(threadIdx.x); word < words; word += static_cast<int>(blockDim.x)) {
    starts += __popc(run_starts(own, word, area));
  }
  int before = 0;
  const int all = scan_block(starts, sums, before);
  if (threadIdx.x == 0) {
    runs[blockIdx.x] = all + 1;
  }
}

/** The run lengths of each mask, from offsets[mask] on. A block a mask. */
GOSHAWK_KERNEL void __launch_bounds__(1024) write_mask_runs(
    const uint32_t* bits, int words, int64_t area, const int64_t* offsets, int* counts) {
  __shared__ int sums[32];
  const int thread = static_cast<int>(threadIdx.x);
  const int threads = static_cast<int>(blockDim.x);
  const uint32_t* own = bits + static_cast<int64_t>(blockIdx.x) * words;
  int* out = counts + offsets[blockIdx.x];
  // First where each run ends, then how long it is.
  int found = 0;
  for (int from = 0; from < words; from += threads) {
    const int word = from + thread;
    uint32_t starts = word < words ? run_starts(own, word, area) : 0u;
    int before = 0;
    const int all = scan_block(__popc(starts), sums, before);
    for (int at = found + before; starts != 0; starts &= starts - 1, ++at) {
      out[at] = word * 32 + __ffs(static_cast<int>(starts)) - 1;
    }
    found += all;
  }
  if (thread == 0) {
    out[found] = static_cast<int>(area);
  }
  __syncthreads();
  for (int high = found; high > 0; high -= threads) {
    const int at = high - thread;
    const int length = at > 0 ? out[at] - out[at - 1] : 0;
    __syncthreads();
    if (at > 0) {
      out[at] = length;
    }
    __syncthreads();
  }
}

} // namespace goshawk
