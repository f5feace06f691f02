// The matrix products of winograd.cc, a block of sums in the registers at a time.
#pragma once

#include "lanes.h"

#include <algorithm>
#include <cstdint>

namespace goshawk::winograd {

/** Rows of a block and vectors of a panel's width: its sums, their operands and a factor fit into the registers. */
constexpr int64_t kRows = 6;
constexpr int64_t kPanelVectors = kRegisters == 32 ? 4 : 2;
static_assert(kRows * kPanelVectors + kPanelVectors + 1 <= kRegisters);
/** The same where the rows lie across memory, whose number is a multiple of a vector's. */
constexpr int64_t kGradientRows = kLanes == 16 ? 8 : 4;
constexpr int64_t kGradientVectors = kLanes == 4 && kRegisters == 32 ? 4 : 3;
static_assert(kGradientRows * kGradientVectors + kGradientVectors + 1 <= kRegisters && kLanes % kGradientRows == 0);
/** Rows of a panel that are asked for ahead. */
constexpr int64_t kAhead = 8;

/**
 * c[rows][width] (+)= a[rows][depth] b[depth][width]; a's rows and columns lie a_row and a_step floats apart. Products and sums
 * are fused, unlike elsewhere in the kernels: that is half the time.
 */
template <int64_t kBlockRows, int64_t kVectors>
void block_product(
    const float* a, int64_t a_row, int64_t a_step, const float* b, int64_t b_step, float* c, int64_t c_row,
    int64_t depth, bool add) {
  // Only loops that are unrolled wholly leave the sums in registers.
  Vector sums[kBlockRows][kVectors];
#pragma GCC unroll 8
  for (int64_t row = 0; row < kBlockRows; ++row) {
#pragma GCC unroll 4
    for (int64_t v = 0; v < kVectors; ++v) {
      sums[row][v] = add ? load_vector(c + row * c_row + v * kLanes) : Vector{};
    }
  }
  for (int64_t k = 0; k < depth; ++k) {
    Vector right[kVectors];
#pragma GCC unroll 4
    for (int64_t v = 0; v < kVectors; ++v) {
      right[v] = load_vector(b + k * b_step + v * kLanes);
      __builtin_prefetch(b + (k + kAhead) * b_step + v * kLanes);
    }
#pragma GCC unroll 8
    for (int64_t row = 0; row < kBlockRows; ++row) {
      const float left = a[row * a_row + k * a_step];
#pragma GCC unroll 4
      for (int64_t v = 0; v < kVectors; ++v) {
        sums[row][v] = multiply_add(left, right[v], sums[row][v]);
      }
    }
  }
#pragma GCC unroll 8
  for (int64_t row = 0; row < kBlockRows; ++row) {
#pragma GCC unroll 4
    for (int64_t v = 0; v < kVectors; ++v) {
      store_vector(c + row * c_row + v * kLanes, sums[row][v]);
    }
  }
}

/** The same for a panel of 1 to kMostVectors vectors. */
template <int64_t kBlockRows, int64_t kMostVectors>
void panel_product(
    int64_t vectors, const float* a, int64_t a_row, int64_t a_step, const float* b, int64_t b_step, float* c,
    int64_t c_row, int64_t depth, bool add) {
  if constexpr (kMostVectors > 1) {
    if (vectors < kMostVectors) {
      return panel_product<kBlockRows, kMostVectors - 1>(vectors, a, a_row, a_step, b, b_step, c, c_row, depth, add);
    }
  }
  block_product<kBlockRows, kMostVectors>(a, a_row, a_step, b, b_step, c, c_row, depth, add);
}

/** Columns in panels of at most `most` vectors, as equal as they can be; each panel's rows lie one after another. */
class Panels {
 public:
  Panels(int64_t columns, int64_t most) : vectors_(columns / kLanes), count_((vectors_ + most - 1) / most) {}

  int64_t count() const {
    return count_;
  }

  /** The first column. */
  int64_t start(int64_t panel) const {
    return (panel * (vectors_ / count_) + std::min(panel, vectors_ % count_)) * kLanes;
  }

  int64_t vectors(int64_t panel) const {
    return vectors_ / count_ + (panel < vectors_ % count_ ? 1 : 0);
  }

 private:
  int64_t vectors_, count_;
};

} // namespace goshawk::winograd
