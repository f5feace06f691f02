#include "winograd.h"

#include "share-work.h"
#include "winograd-products.h"
#include "winograd-transforms.h"

#include <algorithm>
#include <vector>

namespace goshawk::winograd {
namespace {

/** Tiles that a thread takes at a time, and threads that share the products; their transforms stay near the processor. */
constexpr int64_t kOwnTiles = 96;
constexpr int64_t kSharedTiles = 192;
/** Tiles whose products are added up at a time, so that one side of them stays in the nearest cache. */
constexpr int64_t kSummedTiles = 192;
/** Floats of transformed maps and gradients at most. */
constexpr int64_t kGradientFloats = int64_t{1} << 24;
/** Tiles that a thread transforms before it asks for more. */
constexpr int64_t kTilesAtOnce = 8;
/** Floats between the values of two points: without them the 36 values of a tile would share one set of a cache. */
constexpr int64_t kGap = 48;

int64_t rounded_up(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

/** Floats of one point of transformed kernels. */
int64_t kernel_step(int64_t in, int64_t columns) {
  return in * columns + kGap;
}

/** Six pixels a side of the input's tiles, and four of the gradient's. */
constexpr auto kOfInput = [](const Vector* d, int64_t step, Vector* to, int64_t to_step) {
  input_transform(d, step, to, to_step);
};
using OfInput = std::remove_const_t<decltype(kOfInput)>;
constexpr auto kOfGradient = [](const Vector* d, int64_t step, Vector* to, int64_t to_step) {
  gradient_transform(d, step, to, to_step);
};

/** One of the maps: its tiles, and where it and what is made of it lie. */
struct MapPlace {
  Pixels values;
  /** Added to the values, where there is one. */
  Pixels added;
  /** Added to the sums, where there is one. */
  const float* residual = nullptr;
  float* written = nullptr;
  /** Floats from a pixel of the written map to the next. */
  int64_t written_step = 0;
  Grid grid{0, 0, 0};
  /** Its first tile, counted over all maps. */
  int64_t first = 0;
};

/** Of channels that may be a slice of more. */
Pixels slice_pixels(const at::Tensor& map) {
  return {map.data_ptr<float>(), map.stride(3)};
}

/** Of a whole map; the steps of a map of one pixel say nothing. */
Pixels whole_pixels(const at::Tensor& map) {
  return {map.data_ptr<float>(), map.size(1)};
}

class MapPlaces {
 public:
  explicit MapPlaces(size_t count) {
    places_.reserve(count);
  }

  /** The tiles of a map of this one's sides. */
  void add(const at::Tensor& map, MapPlace place) {
    place.grid = Grid(map.size(0), map.size(2), map.size(3));
    place.first = tiles_;
    tiles_ += place.grid.tiles();
    places_.push_back(place);
  }

  int64_t tiles() const {
    return tiles_;
  }

  /** The map of a tile. */
  const MapPlace& of(int64_t tile) const {
    size_t place = places_.size() - 1;
    while (places_[place].first > tile) --place;
    return places_[place];
  }

 private:
  std::vector<MapPlace> places_;
  int64_t tiles_ = 0;
};

/** A convolution's place in memory; tiles go through it in pieces. */
class TileConvolution {
 public:
  /** `offsets` has zeros behind the last channel. */
  TileConvolution(
      const MapPlaces& maps, int64_t in, int64_t out, const float* kernels, const float* offsets, bool relu)
      : maps_(maps), in_(in), out_(out), depth_(rounded_up(in, kLanes)), columns_(rounded_up(out, kLanes)),
        panels_(columns_, kPanelVectors), kernels_(kernels), offsets_(offsets), relu_(relu) {}

  /** Floats that a piece of `tiles` needs. */
  int64_t scratch_floats(int64_t tiles) const {
    return kPoints * (rounded_up(tiles, kRows) * (depth_ + columns_) + 2 * kGap);
  }

  /** Products of one piece, for threads to share. */
  int64_t products() const {
    return kPoints * panels_.count();
  }

  /** Tiles first, ..., first + count - 1. */
  struct Piece {
    int64_t first, count;
    float* scratch;
  };

  /** Transforms the inputs of the piece's tiles from `begin` to `end`, counted from its first. */
  void read(const Piece& piece, int64_t begin, int64_t end) const {
    const int64_t step = input_step(piece);
    for (int64_t tile = begin; tile < end; ++tile) {
      const MapPlace& map = maps_.of(piece.first + tile);
      (map.added.values ? transform_tile<6, true, OfInput> : transform_tile<6, false, OfInput>)(
          map.values, map.added, map.grid, piece.first + tile - map.first, -1, in_, piece.scratch + tile * depth_, step,
          kOfInput);
    }
    if (end < piece.count) return;
    // The last block of rows may reach beyond the tiles.
    for (int64_t tile = piece.count; tile < rounded_up(piece.count, kRows); ++tile) {
      for (int64_t point = 0; point < kPoints; ++point) {
        std::fill_n(piece.scratch + point * step + tile * depth_, depth_, 0.0f);
      }
    }
  }

  void multiply(const Piece& piece, int64_t begin, int64_t end) const {
    const int64_t step = input_step(piece), into_step = product_step(piece);
    float* into = piece.scratch + kPoints * step;
    for (int64_t each = begin; each < end; ++each) {
      const int64_t point = each / panels_.count(), panel = each % panels_.count();
      const int64_t start = panels_.start(panel), vectors = panels_.vectors(panel);
      const float* own = kernels_ + point * kernel_step(in_, columns_) + start * in_;
      for (int64_t row = 0; row < piece.count; row += kRows) {
        panel_product<kRows, kPanelVectors>(
            vectors, piece.scratch + point * step + row * depth_, depth_, 1, own, vectors * kLanes,
            into + point * into_step + row * columns_ + start, columns_, in_, false);
      }
    }
  }

  void write(const Piece& piece, int64_t begin, int64_t end) const {
    const int64_t step = product_step(piece);
    const float* from = piece.scratch + kPoints * input_step(piece);
    for (int64_t tile = begin; tile < end; ++tile) {
      write_tile(piece.first + tile, from + tile * columns_, step);
    }
  }

 private:
  int64_t input_step(const Piece& piece) const {
    return rounded_up(piece.count, kRows) * depth_ + kGap;
  }
  int64_t product_step(const Piece& piece) const {
    return rounded_up(piece.count, kRows) * columns_ + kGap;
  }

  void write_tile(int64_t tile, const float* from, int64_t step) const {
    const MapPlace& map = maps_.of(tile);
    const Grid& grid = map.grid;
    const int64_t place = tile - map.first;
    const int64_t top = place / grid.across % grid.down * 4, left = place % grid.across * 4;
    const int64_t image = place / (grid.down * grid.across) * grid.height * grid.width;
    const int64_t height = std::min<int64_t>(4, grid.height - top), width = std::min<int64_t>(4, grid.width - left);
    for (int64_t c = 0; c < out_; c += kLanes) {
      Vector half[24];
      for (int64_t x = 0; x < 6; ++x) {
        Vector column[6];
#pragma GCC unroll 6
        for (int64_t y = 0; y < 6; ++y) {
          column[y] = load_vector(from + (y * 6 + x) * step + c);
        }
        output_transform(column, 1, half + x, 6);
      }
      const Vector offset = load_vector(offsets_ + c);
      const int64_t lanes = std::min(kLanes, out_ - c);
      for (int64_t y = 0; y < height; ++y) {
        Vector row[4];
        output_transform(half + y * 6, 1, row, 1);
        for (int64_t x = 0; x < width; ++x) {
          const int64_t pixel = image + (top + y) * grid.width + left + x;
          Vector value = row[x] + offset;
          if (map.residual) {
            value += load_lanes(map.residual + pixel * out_ + c, lanes);
          }
          // Not a maximum: what is no number stays so.
          if (relu_) {
            value = value < 0.0f ? Vector{} : value;
          }
          store_lanes(map.written + pixel * map.written_step + c, value, lanes);
        }
      }
    }
  }

  const MapPlaces& maps_;
  int64_t in_, out_, depth_, columns_;
  Panels panels_;
  const float *kernels_, *offsets_;
  bool relu_;
};

/** Where pieces of tiles begin, and their end: large ones first, so that threads end at about the same time. */
std::vector<int64_t> piece_bounds(int64_t tiles, int64_t threads) {
  std::vector<int64_t> bounds{0};
  while (bounds.back() < tiles) {
    const int64_t left = tiles - bounds.back();
    const int64_t even = rounded_up((left + 2 * threads - 1) / (2 * threads), kRows);
    bounds.push_back(bounds.back() + std::min(left, std::clamp(even, kOwnTiles / 3, kOwnTiles)));
  }
  return bounds;
}

/** Calls body(begin, end) for parts of 0, ..., count - 1 from all threads. */
template <typename Body>
void share_tiles(int64_t count, const Body& body) {
  share_each((count + kTilesAtOnce - 1) / kTilesAtOnce, [&](int64_t part) {
    body(part * kTilesAtOnce, std::min(count, (part + 1) * kTilesAtOnce));
  });
}

std::vector<at::Tensor> by_pixel(at::TensorList maps) {
  std::vector<at::Tensor> result;
  for (const at::Tensor& map : maps) {
    result.push_back(map.contiguous(at::MemoryFormat::ChannelsLast));
  }
  return result;
}

/** `bias` of each of `out` channels, or undefined. */
void convolve_places(
    const MapPlaces& places, int64_t in, int64_t out, const at::Tensor& kernels, const at::Tensor& bias, bool relu) {
  std::vector<float> offsets(static_cast<size_t>(rounded_up(out, kLanes)), 0.0f);
  if (bias.defined()) {
    std::copy_n(bias.contiguous().data_ptr<float>(), out, offsets.data());
  }
  const TileConvolution convolution(places, in, out, kernels.data_ptr<float>(), offsets.data(), relu);
  const auto options = at::TensorOptions().dtype(at::kFloat);
  const int64_t threads = sharing_threads();
  if (places.tiles() >= threads * kOwnTiles) {
    // Each thread goes its own way through tiles of its own: nobody waits for another but at the end.
    const std::vector<int64_t> bounds = piece_bounds(places.tiles(), threads);
    const auto pieces = static_cast<int64_t>(bounds.size()) - 1;
    share_work(pieces, [&](const auto& next) {
      const at::Tensor scratch = at::empty({convolution.scratch_floats(kOwnTiles)}, options);
      for (int64_t each = next(); each < pieces; each = next()) {
        const int64_t first = bounds[static_cast<size_t>(each)], end = bounds[static_cast<size_t>(each + 1)];
        const TileConvolution::Piece piece{first, end - first, scratch.data_ptr<float>()};
        convolution.read(piece, 0, piece.count);
        convolution.multiply(piece, 0, convolution.products());
        convolution.write(piece, 0, piece.count);
      }
    });
    return;
  }
  // Of few tiles each thread reads a part of the kernels, which are the most of what is read.
  const at::Tensor scratch = at::empty({convolution.scratch_floats(std::min(kSharedTiles, places.tiles()))}, options);
  for (int64_t first = 0; first < places.tiles(); first += kSharedTiles) {
    const TileConvolution::Piece piece{
        first, std::min(kSharedTiles, places.tiles() - first), scratch.data_ptr<float>()};
    share_tiles(piece.count, [&](int64_t begin, int64_t end) { convolution.read(piece, begin, end); });
    share_each(convolution.products(), [&](int64_t each) { convolution.multiply(piece, each, each + 1); });
    share_tiles(piece.count, [&](int64_t begin, int64_t end) { convolution.write(piece, begin, end); });
  }
}

} // namespace

int64_t kernel_floats(int64_t in, int64_t out) {
  return kPoints * kernel_step(in, rounded_up(out, kLanes));
}

at::Tensor transform_kernels(const at::Tensor& weight, bool turned) {
  const int64_t out = weight.size(turned ? 1 : 0), in = weight.size(turned ? 0 : 1);
  const int64_t out_step = weight.stride(turned ? 1 : 0), in_step = weight.stride(turned ? 0 : 1);
  const int64_t columns = rounded_up(out, kLanes);
  const Panels panels(columns, kPanelVectors);
  at::Tensor result = at::empty({kPoints * kernel_step(in, columns)}, weight.options());
  const float* w = weight.data_ptr<float>();
  float* written = result.data_ptr<float>();
  int64_t places[9];
  for (int64_t k = 0; k < 9; ++k) {
    const int64_t own = turned ? 8 - k : k;
    places[k] = own / 3 * weight.stride(2) + own % 3 * weight.stride(3);
  }
  constexpr int64_t kAtOnce = 16;
  const int64_t all = panels.count() * in;
  share_each((all + kAtOnce - 1) / kAtOnce, [&](int64_t part) {
    for (int64_t each = part * kAtOnce; each < std::min(all, (part + 1) * kAtOnce); ++each) {
      const int64_t panel = each / in, i = each % in;
      const int64_t start = panels.start(panel), vectors = panels.vectors(panel);
      for (int64_t vector = 0; vector < vectors; ++vector) {
        const int64_t first = start + vector * kLanes, count = std::min(kLanes, out - first);
        alignas(64) float values[9][kLanes] = {};
        for (int64_t lane = 0; lane < count; ++lane) {
          const float* own = w + (first + lane) * out_step + i * in_step;
          for (int64_t k = 0; k < 9; ++k) {
            values[k][lane] = own[places[k]];
          }
        }
        Vector kernel[9], half[18], done[kPoints];
        for (int64_t k = 0; k < 9; ++k) {
          kernel[k] = load_vector(values[k]);
        }
        for (int64_t x = 0; x < 3; ++x) {
          kernel_transform(kernel + x, 3, half + x, 3);
        }
        for (int64_t y = 0; y < 6; ++y) {
          kernel_transform(half + y * 3, 1, done + y * 6, 1);
        }
        float* into = written + start * in + (i * vectors + vector) * kLanes;
        for (int64_t point = 0; point < kPoints; ++point) {
          store_vector(into + point * kernel_step(in, columns), done[point]);
        }
      }
    }
  });
  return result;
}

std::vector<at::Tensor> convolve(at::TensorList inputs, const at::Tensor& kernels, int64_t out, const Behind& behind) {
  const std::vector<at::Tensor> maps = by_pixel(inputs);
  const at::Tensor residual =
      behind.residual.defined() ? behind.residual.contiguous(at::MemoryFormat::ChannelsLast) : behind.residual;
  MapPlaces places(maps.size());
  std::vector<at::Tensor> results;
  for (const at::Tensor& map : maps) {
    results.push_back(
        at::empty({map.size(0), out, map.size(2), map.size(3)}, map.options(), at::MemoryFormat::ChannelsLast));
    places.add(
        map, {whole_pixels(map), {}, residual.defined() ? residual.data_ptr<float>() : nullptr,
              results.back().data_ptr<float>(), out});
  }
  convolve_places(places, maps.front().size(1), out, kernels, behind.bias, behind.relu);
  return results;
}

void convolve_into(
    const at::Tensor& into, const at::Tensor& input, const at::Tensor& added, const at::Tensor& kernels,
    const at::Tensor& bias, bool relu) {
  MapPlaces places(1);
  const Pixels other = added.defined() ? slice_pixels(added) : Pixels{};
  places.add(input, {slice_pixels(input), other, nullptr, into.data_ptr<float>(), into.stride(3)});
  convolve_places(places, input.size(1), into.size(1), kernels, bias, relu);
}

at::Tensor weight_gradient(at::TensorList inputs, at::TensorList gradients, at::MemoryFormat format) {
  const std::vector<at::Tensor> maps = by_pixel(inputs), slopes = by_pixel(gradients);
  const int64_t in = maps.front().size(1), out = slopes.front().size(1);
  const int64_t rows = rounded_up(in, kLanes), columns = rounded_up(out, kLanes);
  MapPlaces map_places(maps.size()), slope_places(slopes.size());
  for (size_t i = 0; i < maps.size(); ++i) {
    map_places.add(maps[i], {whole_pixels(maps[i]), {}});
    slope_places.add(slopes[i], {whole_pixels(slopes[i]), {}});
  }
  const int64_t tiles = map_places.tiles();
  const int64_t most = std::min(tiles, std::max(kSummedTiles, kGradientFloats / (kPoints * (rows + columns))));
  const Panels panels(columns, kGradientVectors);
  const int64_t input_step = most * rows + kGap, output_step = most * columns + kGap;
  const auto options = maps.front().options();
  const at::Tensor transformed = at::empty({kPoints * (input_step + output_step)}, options);
  const at::Tensor sums = at::empty({kPoints * rows * columns}, options);
  float* v = transformed.data_ptr<float>();
  float* m = v + kPoints * input_step;
  float* u = sums.data_ptr<float>();
  for (int64_t first = 0; first < tiles; first += most) {
    const int64_t count = std::min(most, tiles - first);
    share_tiles(count, [&](int64_t begin, int64_t end) {
      for (int64_t tile = begin; tile < end; ++tile) {
        const MapPlace &map = map_places.of(first + tile), &slope = slope_places.of(first + tile);
        const int64_t own = first + tile - map.first;
        transform_tile<6, false>(
            map.values, map.added, map.grid, own, -1, in, v + tile * rows, input_step, kOfInput);
        transform_tile<4, false>(
            slope.values, slope.added, slope.grid, own, 0, out, m + tile * columns, output_step, kOfGradient);
      }
    });
    share_each(kPoints * panels.count(), [&](int64_t each) {
      const int64_t point = each / panels.count(), panel = each % panels.count();
      const int64_t start = panels.start(panel);
      for (int64_t block = 0; block < count; block += kSummedTiles) {
        const int64_t summed = std::min(kSummedTiles, count - block);
        for (int64_t row = 0; row < rows; row += kGradientRows) {
          panel_product<kGradientRows, kGradientVectors>(
              panels.vectors(panel), v + point * input_step + block * rows + row, 1, rows,
              m + point * output_step + block * columns + start, columns,
              u + (point * rows + row) * columns + start, columns, summed, first + block > 0);
        }
      }
    });
  }
  at::Tensor result = at::empty({out, in, 3, 3}, options, format);
  float* written = result.data_ptr<float>();
  const auto strides = result.strides();
  share_each(columns / kLanes, [&](int64_t each) {
    const int64_t first = each * kLanes, count = std::min(kLanes, out - first);
    for (int64_t i = 0; i < in; ++i) {
      Vector all[kPoints], half[18], done[9];
      for (int64_t point = 0; point < kPoints; ++point) {
        all[point] = load_vector(u + (point * rows + i) * columns + first);
      }
      for (int64_t x = 0; x < 6; ++x) {
        kernel_gradient(all + x, 6, half + x, 6);
      }
      for (int64_t y = 0; y < 3; ++y) {
        kernel_gradient(half + y * 6, 1, done + y * 3, 1);
      }
      for (int64_t k = 0; k < 9; ++k) {
        float* into = written + first * strides[0] + i * strides[1] + k / 3 * strides[2] + k % 3 * strides[3];
        for (int64_t lane = 0; lane < count; ++lane) {
          into[lane * strides[0]] = done[k][lane];
        }
      }
    }
  });
  return result;
}

} // namespace goshawk::winograd
