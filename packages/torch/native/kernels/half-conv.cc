// Convolutions and the gradients of their inputs, which are convolutions too: pieces of a map times panels of the weight.
#include "half-conv-layout.h"

#include "share-work.h"

#include <algorithm>
#include <cstring>

namespace goshawk::half_conv {

#if defined(GOSHAWK_MATRIX_TILES)

namespace {

/** Pixels of a piece of a map, and bytes at most: with a panel of weights they stay in a core's own cache. */
constexpr int64_t kPiecePixels = 512, kPieceBytes = 768 << 10;
/** Pieces of work for threads to share, at least, where there is so much. */
constexpr int64_t kUnits = 8;

/** Matrices for the right side, [panel of 32 results][32 values each is made of][tap][2 of 16 results]. */
at::Tensor panels_of(const Weight& weight, bool turned) {
  const int64_t results = turned ? weight.in : weight.out, depth = turned ? weight.out : weight.in;
  const int64_t panels = rounded_up(results, kSquare) / kSquare, chunks = rounded_up(depth, kDepth) / kDepth;
  at::Tensor made = at::empty({panels * chunks * weight.taps * 2 * kValues}, at::kBFloat16);
  Half* written = reinterpret_cast<Half*>(made.data_ptr<at::BFloat16>());
  const auto forward = [&](Half* into, int64_t first, int64_t from, int64_t tap) {
    __m512i rows[16];
    const uint32_t lanes = lanes_below(weight.in - from, kDepth);
    for (int64_t i = 0; i < kSide; ++i) {
      if (first + i >= weight.out) {
        rows[i] = _mm512_setzero_si512();
        continue;
      }
      const float* row = weight.row(first + i, tap) + from;
      const __m512 factor = weight.factor(first + i);
      const __m512 low = _mm512_maskz_loadu_ps(static_cast<__mmask16>(lanes), row);
      const __m512 high = _mm512_maskz_loadu_ps(static_cast<__mmask16>(lanes >> 16), row + 16);
      rows[i] = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high * factor, low * factor));
    }
    tiles::transpose(rows);
    for (int64_t i = 0; i < kSide; ++i) _mm512_storeu_si512(into + i * kDepth, rows[i]);
  };
  const auto backward = [&](Half* into, int64_t first, int64_t from, int64_t tap) {
    const auto lanes = static_cast<__mmask16>(lanes_below(weight.in - first, kSide));
    const auto half = [&](int64_t output) {
      if (output >= weight.out) return _mm256_setzero_si256();
      const __m512 row = _mm512_maskz_loadu_ps(lanes, weight.row(output, tap) + first);
      return reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(row * weight.factor(output)));
    };
    for (int64_t i = 0; i < kSide; ++i) {
      _mm512_storeu_si512(into + i * kDepth, tiles::paired(half(from + 2 * i), half(from + 2 * i + 1)));
    }
  };
  share_each(panels * chunks, [&](int64_t each) {
    const int64_t panel = each / chunks, chunk = each % chunks;
    for (int64_t tap = 0; tap < weight.taps; ++tap) {
      for (int64_t side = 0; side < 2; ++side) {
        Half* into = written + ((each * weight.taps + tap) * 2 + side) * kValues;
        const int64_t first = panel * kSquare + side * kSide;
        if (turned) {
          backward(into, first, chunk * kDepth, tap);
        } else {
          forward(into, first, chunk * kDepth, tap);
        }
      }
    }
  });
  return made;
}

/** Some rows of a map and the results they become. */
struct Piece {
  const Pixels *from, *into;
  const Half* residual;
  int64_t first_row, rows;
};

class Convolution {
 public:
  /** `offsets` has zeros behind the last result. */
  Convolution(const Shape& shape, bool turned, const Half* panels, int64_t depth, int64_t results, const float* offsets, bool relu)
      : shape_(shape), turned_(turned), panels_(panels), results_(results), offsets_(offsets), relu_(relu),
        chunks_(rounded_up(depth, kDepth) / kDepth) {}

  int64_t panels() const {
    return rounded_up(results_, kSquare) / kSquare;
  }
  /** Rows of a piece. */
  int64_t piece_rows(const Rows& rows) const {
    const int64_t pixels = std::clamp<int64_t>(kPieceBytes / (2 * chunks_ * kDepth), kSquare, kPiecePixels);
    return std::clamp<int64_t>(pixels / rows.step(), 1, rows.count());
  }
  /** Values that a piece of a map is copied to. */
  int64_t scratch(const Rows& rows) const {
    return chunks_ * plane(rows, piece_rows(rows));
  }

  /** Results first, ..., end - 1 by panels, of a piece. */
  void run(const Piece& piece, int64_t first, int64_t end, Half* scratch) const {
    const Rows rows(*piece.from, shape_.reach());
    read(piece, rows, scratch);
    const int64_t step = rows.step(), pixels = piece.rows * step, reach = shape_.reach();
    const Half* centre = scratch + (reach + reach * step) * kDepth;
    std::vector<int64_t> taps = distances(shape_, step, turned_);
    for (int64_t& tap : taps) tap *= kDepth;
    const int64_t panel_values = chunks_ * static_cast<int64_t>(taps.size()) * 2 * kValues;
    const int64_t plane_values = plane(rows, piece.rows);
    alignas(64) float sums[kSquare * kSquare];
    for (int64_t panel = first; panel < end; ++panel) {
      for (int64_t pixel = 0; pixel < pixels; pixel += kSquare) {
        const Half* right = panels_ + panel * panel_values;
        const Half* left = centre + pixel * kDepth;
        if (pixels - pixel > kSide) {
          products<false>(left, plane_values, taps, right, sums);
        } else {
          products<true>(left, plane_values, taps, right, sums);
        }
        write(piece, rows, pixel, std::min(kSquare, pixels - pixel), panel * kSquare, sums);
      }
    }
  }

 private:
  /** Values of 32 channels of a piece, with what is around it: each pixel's lie together. */
  int64_t plane(const Rows& rows, int64_t piece_rows) const {
    const int64_t reach = shape_.reach();
    return ((piece_rows + 2 * reach) * rows.step() + 2 * reach + kSquare) * kDepth;
  }

  template <bool kUpperAlone>
  void products(
      const Half* left, int64_t plane, const std::vector<int64_t>& taps, const Half* right, float* sums) const {
    tiles::written();
    tiles::clear_square();
    for (int64_t chunk = 0; chunk < chunks_; ++chunk, left += plane) {
      for (const int64_t tap : taps) {
        tiles::add_square<kUpperAlone>(left + tap, kDepth, left + tap + kValues, right, right + kValues);
        right += 2 * kValues;
      }
    }
    tiles::store_square(sums, kSquare);
  }

  void read(const Piece& piece, const Rows& rows, Half* scratch) const {
    const int64_t reach = shape_.reach(), channels = piece.from->channels, plane_values = plane(rows, piece.rows);
    Half* into = scratch;
    const auto zeros = [&](int64_t pixels) {
      for (int64_t chunk = 0; chunk < chunks_; ++chunk) {
        std::memset(into + chunk * plane_values, 0, static_cast<size_t>(pixels * kDepth) * sizeof(Half));
      }
      into += pixels * kDepth;
    };
    zeros(reach);
    for (int64_t row = piece.first_row - reach; row < piece.first_row + piece.rows + reach; ++row) {
      if (!rows.is_real(row)) {
        zeros(rows.step());
        continue;
      }
      const Half* from = rows.of(*piece.from, row);
      for (int64_t x = 0; x < rows.width; ++x, from += piece.from->pixel_step, into += kDepth) {
        for (int64_t chunk = 0; chunk < chunks_; ++chunk) {
          const uint32_t lanes = lanes_below(channels - chunk * kDepth, kDepth);
          _mm512_storeu_si512(into + chunk * plane_values, _mm512_maskz_loadu_epi16(lanes, from + chunk * kDepth));
        }
      }
      zeros(reach);
    }
    zeros(reach);
  }

  void write(const Piece& piece, const Rows& rows, int64_t first, int64_t count, int64_t result, const float* sums) const {
    const uint32_t lanes = lanes_below(results_ - result, kSquare);
    const __m512 low_offset = _mm512_loadu_ps(offsets_ + result), high_offset = _mm512_loadu_ps(offsets_ + result + 16);
    const __m512 zero = _mm512_setzero_ps();
    int64_t row = piece.first_row + first / rows.step(), column = first % rows.step();
    Half* line = rows.is_real(row) ? rows.of(*piece.into, row) : nullptr;
    for (int64_t i = 0; i < count; ++i, ++column) {
      if (column == rows.step()) {
        column = 0;
        ++row;
        line = rows.is_real(row) ? rows.of(*piece.into, row) : nullptr;
      }
      if (column >= rows.width || !line) continue;
      __m512 low = _mm512_load_ps(sums + i * kSquare) + low_offset, high = _mm512_load_ps(sums + i * kSquare + 16) + high_offset;
      Half* into = line + column * piece.into->pixel_step + result;
      if (piece.residual) {
        const Half* from = piece.residual + (into - piece.into->values);
        low += tiles::widened(_mm256_maskz_loadu_epi16(static_cast<__mmask16>(lanes), from));
        high += tiles::widened(_mm256_maskz_loadu_epi16(static_cast<__mmask16>(lanes >> 16), from + 16));
      }
      // Not a maximum: what is no number stays so.
      if (relu_) {
        low = _mm512_mask_mov_ps(low, _mm512_cmp_ps_mask(low, zero, _CMP_LT_OQ), zero);
        high = _mm512_mask_mov_ps(high, _mm512_cmp_ps_mask(high, zero, _CMP_LT_OQ), zero);
      }
      _mm512_mask_storeu_epi16(into, lanes, reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low)));
    }
  }

  Shape shape_;
  bool turned_;
  const Half* panels_;
  int64_t results_;
  const float* offsets_;
  bool relu_;
  /** Of 32 values that a result is made of. */
  int64_t chunks_;
};

void convolve_all(
    const Convolution& convolution, const Shape& shape, const std::vector<Pixels>& from, const std::vector<Pixels>& into,
    const Half* residual) {
  std::vector<Piece> pieces;
  int64_t scratch_values = 0;
  for (size_t i = 0; i < from.size(); ++i) {
    const Rows rows(from[i], shape.reach());
    const int64_t most = convolution.piece_rows(rows);
    // Evenly, for threads that end at about the same time.
    const int64_t count = (rows.count() + most - 1) / most, even = (rows.count() + count - 1) / count;
    for (int64_t row = 0; row < rows.count(); row += even) {
      pieces.push_back({&from[i], &into[i], residual, row, std::min(even, rows.count() - row)});
    }
    scratch_values = std::max(scratch_values, convolution.scratch(rows));
  }
  const auto count = static_cast<int64_t>(pieces.size()), panels = convolution.panels();
  const int64_t parts = std::clamp<int64_t>(kUnits / count, 1, panels), part_panels = (panels + parts - 1) / parts;
  share_work(count * parts, [&](const auto& next) {
    const tiles::Registers registers;
    const at::Tensor scratch = at::empty({scratch_values}, at::kBFloat16);
    for (int64_t unit = next(); unit < count * parts; unit = next()) {
      const int64_t first = unit % parts * part_panels;
      convolution.run(
          pieces[static_cast<size_t>(unit / parts)], first, std::min(panels, first + part_panels),
          reinterpret_cast<Half*>(scratch.data_ptr<at::BFloat16>()));
    }
  });
}

} // namespace

bool is_possible(
    const at::Tensor& weight, at::IntArrayRef stride, at::IntArrayRef padding, at::IntArrayRef dilation, int64_t groups) {
  const int64_t side = weight.size(2);
  const bool is_square = weight.size(3) == side && stride[0] == stride[1] && dilation[0] == dilation[1];
  const int64_t reach = dilation[0] * (side / 2);
  return tiles::allowed() && groups == 1 && is_square && side % 2 == 1 && padding[0] == reach && padding[1] == reach &&
      (side == 1 || stride[0] == 1);
}

std::vector<at::Tensor> convolve(
    at::TensorList inputs, const at::Tensor& weight, const at::Tensor& scale, const Shape& shape, const Behind& behind) {
  const std::vector<at::Tensor> maps = by_pixel(inputs);
  const Weight own(weight, scale);
  const at::Tensor panels = panels_of(own, false);
  const at::Tensor residual =
      behind.residual.defined() ? behind.residual.contiguous(at::MemoryFormat::ChannelsLast) : behind.residual;
  std::vector<float> offsets(static_cast<size_t>(rounded_up(own.out, kSquare)), 0.0f);
  if (behind.bias.defined()) {
    std::copy_n(behind.bias.contiguous().data_ptr<float>(), own.out, offsets.data());
  }
  std::vector<at::Tensor> results;
  std::vector<Pixels> from, into;
  for (const at::Tensor& map : maps) {
    from.emplace_back(map, shape.stride);
    results.push_back(at::empty(
        {map.size(0), own.out, from.back().height, from.back().width}, map.options(), at::MemoryFormat::ChannelsLast));
    into.emplace_back(results.back(), 1);
  }
  const Convolution convolution(
      shape, false, reinterpret_cast<const Half*>(panels.data_ptr<at::BFloat16>()), own.in, own.out, offsets.data(),
      behind.relu);
  const Half* added =
      residual.defined() ? reinterpret_cast<const Half*>(residual.data_ptr<at::BFloat16>()) : nullptr;
  convolve_all(convolution, shape, from, into, added);
  return results;
}

std::vector<at::Tensor> input_gradients(
    at::TensorList inputs, at::TensorList gradients, const at::Tensor& weight, const at::Tensor& scale,
    const Shape& shape) {
  const std::vector<at::Tensor> slopes = by_pixel(gradients);
  const Weight own(weight, scale);
  const at::Tensor panels = panels_of(own, true);
  const std::vector<float> offsets(static_cast<size_t>(rounded_up(own.in, kSquare)), 0.0f);
  std::vector<at::Tensor> results;
  std::vector<Pixels> from, into;
  for (size_t i = 0; i < slopes.size(); ++i) {
    const at::Tensor& map = inputs[i];
    at::Tensor result = at::empty(map.sizes(), map.options(), at::MemoryFormat::ChannelsLast);
    // Pixels between those that a stride meets have none.
    if (shape.stride > 1) result.zero_();
    results.push_back(result);
    from.emplace_back(slopes[i], 1);
    into.emplace_back(result, shape.stride);
  }
  const Convolution convolution(
      shape, true, reinterpret_cast<const Half*>(panels.data_ptr<at::BFloat16>()), own.out, own.in, offsets.data(),
      false);
  convolve_all(convolution, shape, from, into, nullptr);
  return results;
}

#else

bool is_possible(const at::Tensor&, at::IntArrayRef, at::IntArrayRef, at::IntArrayRef, int64_t) {
  return false;
}

std::vector<at::Tensor> convolve(at::TensorList, const at::Tensor&, const at::Tensor&, const Shape&, const Behind&) {
  TORCH_CHECK(false, "half_conv: this processor has no matrix tiles");
}

std::vector<at::Tensor> input_gradients(at::TensorList, at::TensorList, const at::Tensor&, const at::Tensor&, const Shape&) {
  TORCH_CHECK(false, "half_conv: this processor has no matrix tiles");
}

#endif

} // namespace goshawk::half_conv
