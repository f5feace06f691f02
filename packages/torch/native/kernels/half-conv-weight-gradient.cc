// The gradient of a weight: products of all pixels' gradients with the inputs under each tap, summed in float32.
#include "half-conv-layout.h"

#include "share-work.h"

#include <algorithm>

namespace goshawk::half_conv {

#if defined(GOSHAWK_MATRIX_TILES)

namespace {

/** Pixels whose products are added to the sums of a weight's gradient before the next of its parts. */
constexpr int64_t kBlockPixels = 256;
/** Bytes of sums that one thread goes through the maps with. */
constexpr int64_t kSumBytes = 640 << 10;

/** All maps' pixels one after another, in the order of half-conv-layout.h, each map at a multiple of 32. */
class Line {
 public:
  Line(const std::vector<Pixels>& maps, int64_t reach) {
    for (const Pixels& map : maps) {
      const Rows rows(map, reach);
      // As far as a tap of the first pixel leads.
      const int64_t before = rounded_up(reach * rows.step() + reach, kDepth);
      starts_.push_back(length_ + before);
      rows_.push_back(rows);
      length_ += before + rounded_up(rows.count() * rows.step(), kDepth);
      most_ = std::max(most_, before);
    }
    length_ += most_;
  }

  size_t maps() const {
    return rows_.size();
  }
  int64_t start(size_t map) const {
    return starts_[map];
  }
  const Rows& rows(size_t map) const {
    return rows_[map];
  }
  /** Pixels of a map, with zeros behind them. */
  int64_t pixels(size_t map) const {
    return rounded_up(rows_[map].count() * rows_[map].step(), kDepth);
  }
  /** With zeros before, between and behind the maps. */
  int64_t length() const {
    return length_;
  }

  /** The values of 33 pixels from `first` on, a multiple of 32; `zeros` where there is none. */
  void find(const std::vector<Pixels>& maps, int64_t first, const Half* zeros, const Half* (&found)[33]) const {
    // The last may be of the next map.
    find(maps, first, 32, zeros, found);
    find(maps, first + 32, 1, zeros, found + 32);
  }

 private:
  void find(const std::vector<Pixels>& maps, int64_t first, int64_t count, const Half* zeros, const Half** found) const {
    size_t map = maps.size() - 1;
    while (map > 0 && starts_[map] > first) --map;
    const Rows& rows = rows_[map];
    const int64_t place = first - starts_[map];
    if (place < 0 || place >= rows.count() * rows.step()) {
      std::fill_n(found, count, zeros);
      return;
    }
    int64_t row = place / rows.step(), column = place % rows.step();
    const auto line_of = [&] { return rows.is_real(row) ? rows.of(maps[map], row) : nullptr; };
    const Half* line = line_of();
    for (int64_t i = 0; i < count; ++i, ++column) {
      if (column == rows.step()) {
        column = 0;
        ++row;
        line = line_of();
      }
      found[i] = line && column < rows.width ? line + column * maps[map].pixel_step : zeros;
    }
  }

  std::vector<Rows> rows_;
  std::vector<int64_t> starts_;
  int64_t length_ = 0, most_ = 0;
};

/**
 * The inputs' pixels in pairs, [16 channels][pair][channel][2]: right sides.
 * @param first 0, or 1: of pixels 1 and 2, 3 and 4, ...
 */
at::Tensor paired_pixels(const Line& line, const std::vector<Pixels>& maps, int64_t first) {
  const int64_t channels = maps.front().channels, groups = rounded_up(channels, kSquare) / kSide;
  at::Tensor made = at::empty({groups * line.length() * kSide}, at::kBFloat16);
  Half* written = reinterpret_cast<Half*>(made.data_ptr<at::BFloat16>());
  const std::vector<Half> zeros(static_cast<size_t>(groups * kSide));
  share_each(line.length() / 32, [&](int64_t part) {
    const Half* pixels[33];
    line.find(maps, part * 32, zeros.data(), pixels);
    for (int64_t group = 0; group < groups; ++group) {
      const auto lanes = static_cast<__mmask16>(lanes_below(channels - group * kSide, kSide));
      Half* into = written + (group * line.length() + part * 32) * kSide;
      for (int64_t i = 0; i < 16; ++i) {
        const __m256i upper = _mm256_maskz_loadu_epi16(lanes, pixels[2 * i + first] + group * kSide);
        const __m256i lower = _mm256_maskz_loadu_epi16(lanes, pixels[2 * i + first + 1] + group * kSide);
        _mm512_storeu_si512(into + i * kDepth, tiles::paired(upper, lower));
      }
    }
  });
  return made;
}

/** The gradients' channels as rows, [16 channels][32 pixels][channel][pixel]: left sides. */
at::Tensor lined_channels(const Line& line, const std::vector<Pixels>& maps) {
  const int64_t channels = maps.front().channels, groups = rounded_up(channels, kSquare) / kSide;
  at::Tensor made = at::empty({groups * line.length() * kSide}, at::kBFloat16);
  Half* written = reinterpret_cast<Half*>(made.data_ptr<at::BFloat16>());
  const std::vector<Half> zeros(static_cast<size_t>(groups * kSide));
  share_each(line.length() / 32, [&](int64_t part) {
    const Half* pixels[33];
    line.find(maps, part * 32, zeros.data(), pixels);
    for (int64_t group = 0; group < groups; ++group) {
      const auto lanes = static_cast<__mmask16>(lanes_below(channels - group * kSide, kSide));
      __m512i words[16];
      for (int64_t i = 0; i < 16; ++i) {
        const __m256i upper = _mm256_maskz_loadu_epi16(lanes, pixels[2 * i] + group * kSide);
        const __m256i lower = _mm256_maskz_loadu_epi16(lanes, pixels[2 * i + 1] + group * kSide);
        words[i] = tiles::paired(upper, lower);
      }
      tiles::transpose(words);
      Half* into = written + (group * line.length() + part * 32) * kSide;
      for (int64_t i = 0; i < 16; ++i) {
        _mm512_storeu_si512(into + i * kDepth, words[i]);
      }
    }
  });
  return made;
}

/** Sums of a weight's gradient over all pixels, a part of its outputs and inputs at a time. */
class WeightSums {
 public:
  /** `odd`: pairs that begin at odd pixels, which taps at odd distances meet. */
  WeightSums(const Line& line, const Shape& shape, const Half* left, const Half* even, const Half* odd)
      : line_(line), shape_(shape), left_(left), even_(even), odd_(odd) {}

  /** Of squares of outputs and inputs, [output][input][tap][32][32]. */
  void run(int64_t output, int64_t outputs, int64_t input, int64_t inputs, float* sums) const {
    const int64_t taps = shape_.taps(), group = line_.length() * kSide;
    bool is_first = true;
    for (size_t map = 0; map < line_.maps(); ++map) {
      const std::vector<int64_t> places = distances(shape_, line_.rows(map).step(), false);
      const int64_t start = line_.start(map), pixels = line_.pixels(map);
      for (int64_t begin = 0; begin < pixels; begin += kBlockPixels) {
        const int64_t count = std::min(kBlockPixels, pixels - begin);
        for (int64_t o = 0; o < outputs; ++o) {
          const Half* left = left_ + (output + o) * 2 * group + (start + begin) * kSide;
          for (int64_t i = 0; i < inputs; ++i) {
            for (int64_t tap = 0; tap < taps; ++tap) {
              const int64_t first = start + begin + places[static_cast<size_t>(tap)];
              const Half* right = (first % 2 == 0 ? even_ : odd_) + (input + i) * 2 * group + first / 2 * kDepth;
              block(left, right, count, sums + ((o * inputs + i) * taps + tap) * kSquare * kSquare, is_first);
            }
          }
        }
        is_first = false;
      }
    }
  }

 private:
  void block(const Half* left, const Half* right, int64_t pixels, float* sums, bool is_first) const {
    if (is_first) {
      tiles::written();
      tiles::clear_square();
    } else {
      tiles::load_square(sums, kSquare);
    }
    const int64_t group = line_.length() * kSide;
    for (int64_t pixel = 0; pixel < pixels * kSide; pixel += kValues) {
      tiles::add_square<false>(left + pixel, kDepth, left + group + pixel, right + pixel, right + group + pixel);
    }
    tiles::store_square(sums, kSquare);
  }

  const Line& line_;
  Shape shape_;
  const Half *left_, *even_, *odd_;
};

} // namespace

at::Tensor weight_gradient(
    at::TensorList inputs, at::TensorList gradients, const at::Tensor& weight, const at::Tensor& scale,
    const Shape& shape) {
  const std::vector<at::Tensor> maps = by_pixel(inputs), slopes = by_pixel(gradients);
  std::vector<Pixels> from, with;
  for (size_t i = 0; i < maps.size(); ++i) {
    from.emplace_back(maps[i], shape.stride);
    with.emplace_back(slopes[i], 1);
  }
  const Line line(from, shape.reach());
  const at::Tensor left = lined_channels(line, with), even = paired_pixels(line, from, 0);
  const at::Tensor odd = shape.side > 1 ? paired_pixels(line, from, 1) : even;
  const WeightSums sums(
      line, shape, reinterpret_cast<const Half*>(left.data_ptr<at::BFloat16>()),
      reinterpret_cast<const Half*>(even.data_ptr<at::BFloat16>()),
      reinterpret_cast<const Half*>(odd.data_ptr<at::BFloat16>()));
  const int64_t out = weight.size(0), in = weight.size(1), taps = shape.taps();
  const int64_t outputs = rounded_up(out, kSquare) / kSquare, inputs_in_all = rounded_up(in, kSquare) / kSquare;
  // Large parts, so that maps are read seldom, of sums that a core's own cache holds, and two for each thread.
  const int64_t squares = kSumBytes / (taps * kSquare * kSquare * 4), units = 2 * sharing_threads();
  int64_t across = inputs_in_all, down = outputs, columns = 1, rows = 1;
  while (across * down > 1 && (across * down > squares || columns * rows < units)) {
    int64_t& longer = across > down ? across : down;
    longer = (longer + 1) / 2;
    columns = (inputs_in_all + across - 1) / across;
    rows = (outputs + down - 1) / down;
  }
  at::Tensor result = at::empty({out, in, shape.side, shape.side}, weight.options(), at::MemoryFormat::ChannelsLast);
  float* written = result.data_ptr<float>();
  const Weight own(weight, scale);
  share_work(columns * rows, [&](const auto& next) {
    const tiles::Registers registers;
    const at::Tensor scratch = at::empty({across * down * taps * kSquare * kSquare}, at::kFloat);
    float* own_sums = scratch.data_ptr<float>();
    for (int64_t unit = next(); unit < columns * rows; unit = next()) {
      const int64_t input = unit % columns * across, output = unit / columns * down;
      const int64_t wide = std::min(across, inputs_in_all - input), high = std::min(down, outputs - output);
      sums.run(output, high, input, wide, own_sums);
      for (int64_t o = 0; o < high; ++o) {
        for (int64_t i = 0; i < wide; ++i) {
          for (int64_t tap = 0; tap < taps; ++tap) {
            const float* square = own_sums + ((o * wide + i) * taps + tap) * kSquare * kSquare;
            const int64_t channel = (input + i) * kSquare;
            const uint32_t lanes = lanes_below(in - channel, kSquare);
            for (int64_t row = 0; row < kSquare && (output + o) * kSquare + row < out; ++row) {
              const int64_t place = (output + o) * kSquare + row;
              float* into = written + (place * taps + tap) * in + channel;
              const __m512 factor = own.factor(place);
              _mm512_mask_storeu_ps(into, static_cast<__mmask16>(lanes), _mm512_loadu_ps(square + row * kSquare) * factor);
              _mm512_mask_storeu_ps(
                  into + 16, static_cast<__mmask16>(lanes >> 16), _mm512_loadu_ps(square + row * kSquare + 16) * factor);
            }
          }
        }
      }
    }
  });
  return result;
}

#else

at::Tensor weight_gradient(at::TensorList, at::TensorList, const at::Tensor&, const at::Tensor&, const Shape&) {
  TORCH_CHECK(false, "half_conv: this processor has no matrix tiles");
}

#endif

} // namespace goshawk::half_conv
