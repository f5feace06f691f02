// RoIAlign (He et al., Mask R-CNN, 2017, section 3) is separable: a bin's value is the sum over rows and columns of
// rowWeight * columnWeight * pixel. This file turns the sampling points of one axis into such weights, with samples that
// read the same pixel merged, so that a bin reads each pixel once.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "arithmetic/roi-axis.h"

namespace goshawk {

/** The pixels that each bin of one axis reads: bin b owns entries first[b] .. first[b + 1) of index and weight. */
template <typename F>
struct AxisWeights {
  std::vector<int32_t> first;
  std::vector<int32_t> index;
  std::vector<F> weight;
  /** All indices lie in [lowest, end); an empty range where the RoI misses the map. */
  int32_t lowest = 0;
  int32_t end = 0;

  bool empty() const {
    return index.empty();
  }

  /** Weights for the bins of roi_axis(): begin and finish in image coordinates, on an axis of `size` pixels. */
  void build(F begin, F finish, F scale, bool aligned, int64_t bins, int64_t sampling_ratio, int64_t size) {
    const RoiAxis<F> axis = roi_axis(
        begin, finish, scale, aligned, static_cast<int32_t>(bins), static_cast<int32_t>(sampling_ratio),
        static_cast<int32_t>(size));
    first.assign(static_cast<size_t>(bins) + 1, 0);
    index.clear();
    weight.clear();
    lowest = end = 0;
    if (axis.samples == 0) {
      return;
    }

    int32_t low_bound = INT32_MAX;
    int32_t high_bound = -1;
    const F share = F(1) / static_cast<F>(axis.samples);
    for (int32_t b = 0; b < static_cast<int32_t>(bins); ++b) {
      int32_t from = 0;
      int32_t to = 0;
      samples_near_map(axis, b, from, to);
      for (int32_t i = from; i < to; ++i) {
        AxisSample<F> sample;
        if (!sample_axis(axis, b, i, sample)) {
          continue;
        }
        add(b, sample.low, (F(1) - sample.high_share) * share);
        low_bound = std::min(low_bound, sample.low);
        high_bound = std::max(high_bound, sample.low);
        if (sample.high_share > F(0)) {
          add(b, sample.low + 1, sample.high_share * share);
          high_bound = std::max(high_bound, sample.low + 1);
        }
      }
      first[static_cast<size_t>(b) + 1] = static_cast<int32_t>(index.size());
    }
    if (high_bound >= 0) {
      lowest = low_bound;
      end = high_bound + 1;
    }
  }

  /** The same weights the other way round: entry p of the result lists the bins that read pixel source.lowest + p. */
  void transpose(const AxisWeights& source) {
    const int32_t pixels = source.end - source.lowest;
    const int32_t bins = static_cast<int32_t>(source.first.size()) - 1;
    first.assign(static_cast<size_t>(pixels) + 1, 0);
    index.resize(source.index.size());
    weight.resize(source.index.size());
    lowest = 0;
    end = bins;
    for (const int32_t pixel : source.index) {
      ++first[static_cast<size_t>(pixel - source.lowest) + 1];
    }
    for (int32_t p = 0; p < pixels; ++p) {
      first[static_cast<size_t>(p) + 1] += first[static_cast<size_t>(p)];
    }
    next_.assign(first.begin(), first.end() - 1);
    for (int32_t b = 0; b < bins; ++b) {
      for (int32_t e = source.first[static_cast<size_t>(b)]; e < source.first[static_cast<size_t>(b) + 1]; ++e) {
        const auto pixel = static_cast<size_t>(source.index[static_cast<size_t>(e)] - source.lowest);
        const auto slot = static_cast<size_t>(next_[pixel]++);
        index[slot] = b;
        weight[slot] = source.weight[static_cast<size_t>(e)];
      }
    }
  }

 private:
  std::vector<int32_t> next_;

  void add(int32_t bin, int32_t pixel, F w) {
    // Neighbouring samples share at most the last two pixels, in either direction.
    const size_t start = static_cast<size_t>(first[static_cast<size_t>(bin)]);
    for (size_t back = 0; back < 3 && index.size() - back > start; ++back) {
      const size_t e = index.size() - 1 - back;
      if (index[e] == pixel) {
        weight[e] += w;
        return;
      }
    }
    index.push_back(pixel);
    weight.push_back(w);
  }
};

} // namespace goshawk
