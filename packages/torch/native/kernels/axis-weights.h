// RoIAlign (He et al., Mask R-CNN, 2017, section 3) is separable: a bin's value is the sum over rows and columns of
// rowWeight * columnWeight * pixel. This file turns the sampling points of one axis into such weights, with samples that
// read the same pixel merged, so that a bin reads each pixel once.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

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

  /**
   * Weights for `bins` bins between `begin` and `finish` (image coordinates) on an axis of `size` pixels.
   * sampling_ratio <= 0 takes ceil(bin length) samples a bin. Samples below -1 or above `size` count as zeros; a
   * non-finite RoI reads nothing. Coordinates follow torchvision's order of operations in F, because ceil() and the
   * tests at the border turn a different rounding into a different result.
   */
  void build(F begin, F finish, F scale, bool aligned, int64_t bins, int64_t sampling_ratio, int64_t size) {
    const F offset = aligned ? F(0.5) : F(0);
    const F start = begin * scale - offset;
    const F stop = finish * scale - offset;
    F length = stop - start;
    if (!aligned) {
      length = std::max(length, F(1));
    }
    const F bin_length = length / static_cast<F>(bins);

    first.assign(static_cast<size_t>(bins) + 1, 0);
    index.clear();
    weight.clear();
    lowest = end = 0;
    if (!std::isfinite(start) || !std::isfinite(length)) {
      return;
    }
    const F adaptive = std::ceil(length / static_cast<F>(bins));
    const int64_t samples =
        sampling_ratio > 0 ? sampling_ratio : static_cast<int64_t>(std::min(std::max(adaptive, F(0)), F(1 << 30)));
    if (samples == 0) {
      return;
    }

    int32_t low_bound = INT32_MAX;
    int32_t high_bound = -1;
    const F share = F(1) / static_cast<F>(samples);
    for (int64_t b = 0; b < bins; ++b) {
      int64_t from = 0;
      int64_t to = samples;
      if (samples > 64) {
        clip(static_cast<double>(start) + static_cast<double>(b) * bin_length,
             static_cast<double>(bin_length) / static_cast<double>(samples), size, from, to);
      }
      for (int64_t i = from; i < to; ++i) {
        const F at = start + static_cast<F>(b) * bin_length +
            (static_cast<F>(i) + F(0.5)) * bin_length / static_cast<F>(samples);
        if (!(at >= F(-1) && at <= static_cast<F>(size))) {
          continue;
        }
        const F clamped = std::max(at, F(0));
        int32_t low = static_cast<int32_t>(clamped);
        F high_share = clamped - static_cast<F>(low);
        if (low >= size - 1) {
          low = static_cast<int32_t>(size - 1);
          high_share = F(0);
        }
        add(b, low, (F(1) - high_share) * share);
        low_bound = std::min(low_bound, low);
        high_bound = std::max(high_bound, low);
        if (high_share > F(0)) {
          add(b, low + 1, high_share * share);
          high_bound = std::max(high_bound, low + 1);
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

  void add(int64_t bin, int32_t pixel, F w) {
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

  /** Narrows the samples of a very long bin to those near the map, so that its cost is bounded by the map's size. */
  static void clip(double bin_start, double step, int64_t size, int64_t& from, int64_t& to) {
    if (!(step > 0)) {
      return;
    }
    // Coordinates in F round by up to 1e-7 of their magnitude: the margin keeps every sample that could land inside.
    const double margin = 2.0 + 1e-6 * std::abs(bin_start) / step;
    const double last = static_cast<double>(to);
    const double low = (-1.0 - bin_start) / step - margin;
    const double high = (static_cast<double>(size) - bin_start) / step + margin;
    from = static_cast<int64_t>(std::min(std::max(std::floor(low), 0.0), last));
    to = static_cast<int64_t>(std::min(std::max(std::ceil(high), 0.0), last));
  }
};

} // namespace goshawk
