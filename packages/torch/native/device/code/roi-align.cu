// RoIAlign over a pyramid; definition and sampling points in arithmetic/roi-axis.h. A block has some rows of bins of one RoI: its
// threads first write down which pixels each row and column of bins reads, and how much of each, then take a bin and a few
// channels each. A RoI whose level or image is not there reads nothing.
#include "arithmetic/roi-axis.h"
#include "device/code/fixed-point.cuh"
#include "device/code/vectors.cuh"
#include "device/roi-maps.h"

namespace goshawk {

constexpr int kMostTableBins = 64;
/** Pixels in a table, shared out among the bins: a RoI on 14 x 14 bins may be 480 pixels of its map wide, one on 7 x 7 1,000. */
constexpr int kTableEntries = 512;
constexpr int kRoiThreads = 256;

/** The pixels that the bins of one axis read, those of bin b from b * capacity on; samples on the same pixel are merged. */
struct AxisTable {
  int32_t capacity;
  int32_t count[kMostTableBins];
  int32_t pixel[kTableEntries];
  Wide weight[kTableEntries];
};

/** The terms of bin `bin` in its place of the table; false where they are too many. */
__device__ inline bool fill_table(const RoiAxis<Wide>& axis, int bin, int slot, AxisTable& table) {
  const int first = slot * table.capacity;
  int count = 0;
  const Wide share = Wide(1) / static_cast<Wide>(axis.samples);
  int from, to;
  samples_near_map(axis, bin, from, to);
  for (int i = from; i < to; ++i) {
    AxisSample<Wide> sample;
    if (!sample_axis(axis, bin, i, sample)) {
      continue;
    }
    for (int side = 0; side < (sample.high_share > Wide(0) ? 2 : 1); ++side) {
      const int pixel = sample.low + side;
      const Wide weight = (side == 0 ? Wide(1) - sample.high_share : sample.high_share) * share;
      // Neighbouring samples share at most the last two pixels, in either direction.
      int same = -1;
      for (int back = 1; back <= 3 && back <= count; ++back) {
        same = same < 0 && table.pixel[first + count - back] == pixel ? first + count - back : same;
      }
      if (same >= 0) {
        table.weight[same] += weight;
      } else if (count == table.capacity) {
        return false;
      } else {
        table.pixel[first + count] = pixel;
        table.weight[first + count] = weight;
        ++count;
      }
    }
  }
  table.count[slot] = count;
  return true;
}

/** What a block knows about its RoI. */
struct BlockRoi {
  RoiAxis<Wide> rows;
  RoiAxis<Wide> columns;
  /** -1: none. */
  int level;
  int image;
};

__device__ inline BlockRoi block_roi(
    const RoiMaps& maps, const RoiBins& bins, const Wide* boxes, const int64_t* levels) {
  const int64_t k = blockIdx.x;
  const Wide* box = boxes + k * 5;
  BlockRoi roi;
  roi.level = levels[k] >= 0 && levels[k] < maps.count ? static_cast<int>(levels[k]) : -1;
  if (roi.level >= 0 && !(box[0] >= Wide(0) && box[0] < static_cast<Wide>(maps.images[roi.level]))) {
    roi.level = -1;
  }
  roi.image = roi.level >= 0 ? static_cast<int>(box[0]) : 0;
  const int level = roi.level >= 0 ? roi.level : 0;
  const Wide scale = static_cast<Wide>(maps.scale[level]);
  roi.rows =
      roi_axis(box[2], box[4], scale, bins.aligned != 0, bins.height, bins.sampling_ratio, maps.height[level]);
  roi.columns =
      roi_axis(box[1], box[3], scale, bins.aligned != 0, bins.width, bins.sampling_ratio, maps.width[level]);
  if (roi.level < 0) {
    roi.rows.samples = 0;
  }
  return roi;
}

/** The pixels of each bin of a block: from tables, or, for RoIs that do not fit into them, sample by sample. */
struct BlockTerms {
  const BlockRoi* roi;
  const AxisTable* rows;
  const AxisTable* columns;
  int first_row;
  int width;
  bool is_in_tables;

  /** visit(pixel, weight) for each term of a bin; the row counts from the block's first. */
  template <typename Visit>
  __device__ void visit(int row, int column, Visit visit) const {
    if (is_in_tables) {
      const int row_begin = row * rows->capacity;
      const int row_end = row_begin + rows->count[row];
      const int column_begin = column * columns->capacity;
      const int column_end = column_begin + columns->count[column];
      for (int r = row_begin; r < row_end; ++r) {
        const int line = rows->pixel[r] * width;
        const Wide weight = rows->weight[r];
        for (int c = column_begin; c < column_end; ++c) {
          visit(line + columns->pixel[c], weight * columns->weight[c]);
        }
      }
      return;
    }
    const RoiAxis<Wide> down = roi->rows;
    const RoiAxis<Wide> across = roi->columns;
    const Wide share = Wide(1) / static_cast<Wide>(down.samples) / static_cast<Wide>(across.samples);
    int row_from, row_to, column_from, column_to;
    samples_near_map(down, first_row + row, row_from, row_to);
    samples_near_map(across, column, column_from, column_to);
    // Seldom run: small code keeps registers for the loops above.
#pragma unroll 1
    for (int i = row_from; i < row_to; ++i) {
      AxisSample<Wide> y;
      if (!sample_axis(down, first_row + row, i, y)) {
        continue;
      }
#pragma unroll 1
      for (int j = column_from; j < column_to; ++j) {
        AxisSample<Wide> x;
        if (!sample_axis(across, column, j, x)) {
          continue;
        }
#pragma unroll 1
        for (int corner = 0; corner < 4; ++corner) {
          const bool is_lower = corner >= 2;
          const bool is_right = corner % 2 == 1;
          const Wide weight =
              (is_lower ? y.high_share : Wide(1) - y.high_share) * (is_right ? x.high_share : Wide(1) - x.high_share);
          if (weight > Wide(0)) {
            visit((y.low + (is_lower ? 1 : 0)) * width + x.low + (is_right ? 1 : 0), weight * share);
          }
        }
      }
    }
  }
};

/** Fills the block's tables; all of its threads call it. */
__device__ inline BlockTerms block_terms(
    const RoiMaps& maps, const RoiBins& bins, const Wide* boxes, const int64_t* levels, int row_count) {
  __shared__ AxisTable rows;
  __shared__ AxisTable columns;
  __shared__ BlockRoi roi;
  __shared__ int is_too_long;
  const int thread = static_cast<int>(threadIdx.x);
  if (thread == 0) {
    roi = block_roi(maps, bins, boxes, levels);
    is_too_long = row_count > kMostTableBins || bins.width > kMostTableBins ? 1 : 0;
    rows.capacity = kTableEntries / row_count;
    columns.capacity = kTableEntries / bins.width;
  }
  __syncthreads();
  BlockTerms terms;
  terms.roi = &roi;
  terms.rows = &rows;
  terms.columns = &columns;
  terms.first_row = static_cast<int>(blockIdx.y) * bins.rows_of_block;
  terms.width = maps.width[roi.level >= 0 ? roi.level : 0];
  bool fits = true;
  if (is_too_long == 0 && thread < row_count) {
    fits = fill_table(roi.rows, terms.first_row + thread, thread, rows);
  } else if (is_too_long == 0 && thread >= kRoiThreads / 2 && thread < kRoiThreads / 2 + bins.width) {
    fits = fill_table(roi.columns, thread - kRoiThreads / 2, thread - kRoiThreads / 2, columns);
  }
  __syncthreads();
  if (!fits) {
    is_too_long = 1;
  }
  __syncthreads();
  terms.is_in_tables = is_too_long == 0;
  return terms;
}

__device__ inline int rows_of_this_block(const RoiBins& bins) {
  const int left = bins.height - static_cast<int>(blockIdx.y) * bins.rows_of_block;
  return left < bins.rows_of_block ? left : bins.rows_of_block;
}

/** Channels side by side, `kLanes` of them a thread. */
template <int kLanes>
__device__ inline void roi_align_side_by_side(
    const RoiMaps& maps, const RoiBins& bins, const Wide* boxes, const int64_t* levels, Scalar* out) {
  const int row_count = rows_of_this_block(bins);
  const BlockTerms terms = block_terms(maps, bins, boxes, levels, row_count);
  const int level = terms.roi->level >= 0 ? terms.roi->level : 0;
  const int channels = maps.channels;
  const Scalar* image = static_cast<const Scalar*>(maps.data[level]) +
      static_cast<int64_t>(terms.roi->image) * maps.height[level] * maps.width[level] * channels;
  Scalar* target =
      out + (static_cast<int64_t>(blockIdx.x) * bins.height + terms.first_row) * bins.width * channels;
  const int groups = channels / kLanes;
  const int items = row_count * bins.width * groups;
  for (int item = static_cast<int>(threadIdx.x); item < items; item += kRoiThreads) {
    const int bin = item / groups;
    const int channel = (item - bin * groups) * kLanes;
    const Scalar* values = image + channel;
    Wide sums[kLanes];
#pragma unroll
    for (int lane = 0; lane < kLanes; ++lane) {
      sums[lane] = Wide(0);
    }
    terms.visit(bin / bins.width, bin % bins.width, [&](int pixel, Wide weight) {
      Wide read[kLanes];
      load_values<kLanes>(values + static_cast<int64_t>(pixel) * channels, read);
#pragma unroll
      for (int lane = 0; lane < kLanes; ++lane) {
        sums[lane] += read[lane] * weight;
      }
    });
    store_values<kLanes>(sums, target + static_cast<int64_t>(bin) * channels + channel);
  }
}

/** Four channels a thread; all pointers and the channels are multiples of four values. */
GOSHAWK_KERNEL void __launch_bounds__(256) roi_align_by_fours(
    RoiMaps maps, RoiBins bins, const Wide* boxes, const int64_t* levels, Scalar* out) {
  roi_align_side_by_side<4>(maps, bins, boxes, levels, out);
}

GOSHAWK_KERNEL void __launch_bounds__(256) roi_align_one_by_one(
    RoiMaps maps, RoiBins bins, const Wide* boxes, const int64_t* levels, Scalar* out) {
  if (maps.channels_last != 0) {
    roi_align_side_by_side<1>(maps, bins, boxes, levels, out);
    return;
  }
  const int row_count = rows_of_this_block(bins);
  const BlockTerms terms = block_terms(maps, bins, boxes, levels, row_count);
  const int level = terms.roi->level >= 0 ? terms.roi->level : 0;
  const int64_t area = static_cast<int64_t>(maps.height[level]) * maps.width[level];
  const Scalar* image = static_cast<const Scalar*>(maps.data[level]) + terms.roi->image * area * maps.channels;
  Scalar* target = out + static_cast<int64_t>(blockIdx.x) * maps.channels * bins.height * bins.width +
      terms.first_row * bins.width;
  const int plane_bins = row_count * bins.width;
  const int items = plane_bins * maps.channels;
  for (int item = static_cast<int>(threadIdx.x); item < items; item += kRoiThreads) {
    const int channel = item / plane_bins;
    const int bin = item - channel * plane_bins;
    const Scalar* plane = image + channel * area;
    Wide sum = Wide(0);
    terms.visit(bin / bins.width, bin % bins.width, [&](int pixel, Wide weight) { sum += widen(plane[pixel]) * weight; });
    target[static_cast<int64_t>(channel) * bins.height * bins.width + bin] = narrow<Scalar>(sum);
  }
}

/** Adds terms in whatever order threads come. */
struct AnyOrder {
  typedef Wide Sum;

  __device__ void add(Wide* sum, Wide term) const {
    atomicAdd(sum, term);
  }
};

/** Adds terms so that their order does not matter. */
struct NoOrder {
  typedef unsigned long long Sum;
  double unit_share;

  __device__ void add(unsigned long long* sum, Wide term) const {
    add_fixed_point(sum, term, unit_share);
  }
};

/**
 * Adds what each bin returns to the pixels that it read; `maps` are the sums. A thread has one bin and up to `kLanes` channels,
 * 32 apart, so that the threads of a warp add to values side by side.
 */
template <int kLanes, typename Adder>
__device__ inline void return_side_by_side(
    const RoiMaps& maps, const RoiBins& bins, const BlockTerms& terms, int row_count, const Scalar* gradient,
    Adder adder) {
  typedef typename Adder::Sum Sum;
  const int level = terms.roi->level;
  const int channels = maps.channels;
  Sum* image = static_cast<Sum*>(maps.data[level]) +
      static_cast<int64_t>(terms.roi->image) * maps.height[level] * maps.width[level] * channels;
  const Scalar* source =
      gradient + (static_cast<int64_t>(blockIdx.x) * bins.height + terms.first_row) * bins.width * channels;
  const int groups = (channels + kLanes * 32 - 1) / (kLanes * 32) * 32;
  const int items = row_count * bins.width * groups;
  for (int item = static_cast<int>(threadIdx.x); item < items; item += kRoiThreads) {
    const int bin = item / groups;
    const int group = item - bin * groups;
    const int channel = group / 32 * (kLanes * 32) + group % 32;
    Wide values[kLanes];
    bool is_zero = true;
#pragma unroll
    for (int lane = 0; lane < kLanes; ++lane) {
      const int own = channel + lane * 32;
      values[lane] = own < channels ? widen(source[static_cast<int64_t>(bin) * channels + own]) : Wide(0);
      is_zero = is_zero && values[lane] == Wide(0);
    }
    // RoIs that count for nothing return zeros.
    if (is_zero) {
      continue;
    }
    terms.visit(bin / bins.width, bin % bins.width, [&](int pixel, Wide weight) {
      Sum* sums = image + static_cast<int64_t>(pixel) * channels + channel;
#pragma unroll
      for (int lane = 0; lane < kLanes; ++lane) {
        if (channel + lane * 32 < channels) {
          adder.add(sums + lane * 32, weight * values[lane]);
        }
      }
    });
  }
}

template <typename Adder>
__device__ inline void return_by_planes(
    const RoiMaps& maps, const RoiBins& bins, const BlockTerms& terms, int row_count, const Scalar* gradient,
    Adder adder) {
  typedef typename Adder::Sum Sum;
  const int level = terms.roi->level;
  const int64_t area = static_cast<int64_t>(maps.height[level]) * maps.width[level];
  Sum* image = static_cast<Sum*>(maps.data[level]) + terms.roi->image * area * maps.channels;
  const Scalar* source = gradient + static_cast<int64_t>(blockIdx.x) * maps.channels * bins.height * bins.width +
      terms.first_row * bins.width;
  const int plane_bins = row_count * bins.width;
  const int items = plane_bins * maps.channels;
  for (int item = static_cast<int>(threadIdx.x); item < items; item += kRoiThreads) {
    const int channel = item / plane_bins;
    const int bin = item - channel * plane_bins;
    const Wide value = widen(source[static_cast<int64_t>(channel) * bins.height * bins.width + bin]);
    if (value == Wide(0)) {
      continue;
    }
    Sum* plane = image + channel * area;
    terms.visit(bin / bins.width, bin % bins.width, [&](int pixel, Wide weight) {
      adder.add(plane + pixel, weight * value);
    });
  }
}

template <typename Adder>
__device__ inline void roi_align_return(
    const RoiMaps& maps, const RoiBins& bins, const Wide* boxes, const int64_t* levels, const Scalar* gradient,
    Adder adder) {
  const int row_count = rows_of_this_block(bins);
  const BlockTerms terms = block_terms(maps, bins, boxes, levels, row_count);
  if (terms.roi->level < 0) {
    return;
  }
  if (maps.channels_last != 0) {
    return_side_by_side<4>(maps, bins, terms, row_count, gradient, adder);
  } else {
    return_by_planes(maps, bins, terms, row_count, gradient, adder);
  }
}

GOSHAWK_KERNEL void __launch_bounds__(256) roi_align_gradient(
    RoiMaps maps, RoiBins bins, const Wide* boxes, const int64_t* levels, const Scalar* gradient) {
  roi_align_return(maps, bins, boxes, levels, gradient, AnyOrder());
}

/** Into sums in fixed point (fixed-point.cuh). */
GOSHAWK_KERNEL void __launch_bounds__(256) roi_align_gradient_fixed(
    RoiMaps maps, RoiBins bins, const Wide* boxes, const int64_t* levels, const Scalar* gradient, const double* peak,
    int term_bits) {
  NoOrder adder;
  adder.unit_share = ldexp(1.0, fixed_point_exponent(*peak, term_bits));
  roi_align_return(maps, bins, boxes, levels, gradient, adder);
}

} // namespace goshawk
