// RoIAlign on the CPU, for one feature map or a pyramid (He et al., Mask R-CNN, 2017; sampling points as in torchvision's
// and Detectron's roi_align). NHWC memory is read a pixel's channels at a time; NCHW memory a plane at a time.
// The backward pass gives each thread its own channels, so it needs no atomics and its bits do not depend on the threads.
#include "roi-align.h"

#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <torch/library.h>

#include "axis-weights.h"
#include "channel-sum.h"

namespace goshawk {
namespace {

/** Rows and columns of one RoI. */
template <typename F>
struct RoiGrid {
  AxisWeights<F> rows;
  AxisWeights<F> columns;

  void build(const F* box, const RoiLevel& level, const RoiAlignShape& shape) {
    const F scale = static_cast<F>(level.scale);
    rows.build(box[2], box[4], scale, shape.aligned, shape.pooled_height, shape.sampling_ratio, level.height);
    columns.build(box[1], box[3], scale, shape.aligned, shape.pooled_width, shape.sampling_ratio, level.width);
  }
};

template <typename F>
int64_t image_of(const F* box) {
  return static_cast<int64_t>(box[0]);
}

template <typename F, typename T, typename O>
void forward_nhwc(
    const std::vector<RoiLevel>& pyramid, const std::vector<const T*>& maps, const RoiList<F>& rois,
    const RoiAlignShape& shape, O* out) {
  const int64_t channels = pyramid[0].channels;
  const int64_t bins = shape.pooled_height * shape.pooled_width;
  at::parallel_for(0, rois.count, 1, [&](int64_t begin, int64_t end) {
    RoiGrid<F> grid;
    std::vector<PixelTerm<F>> terms;
    for (int64_t k = begin; k < end; ++k) {
      const F* box = rois.box + k * 5;
      const auto l = static_cast<size_t>(rois.level[k]);
      const RoiLevel& level = pyramid[l];
      grid.build(box, level, shape);
      const T* image = maps[l] + image_of(box) * level.height * level.width * channels;
      const AxisWeights<F>& rows = grid.rows;
      const AxisWeights<F>& columns = grid.columns;
      for (int64_t bin = 0; bin < bins; ++bin) {
        const auto row_bin = static_cast<size_t>(bin / shape.pooled_width);
        const auto column_bin = static_cast<size_t>(bin % shape.pooled_width);
        terms.clear();
        for (auto r = rows.first[row_bin]; r < rows.first[row_bin + 1]; ++r) {
          const int64_t row = static_cast<int64_t>(rows.index[static_cast<size_t>(r)]) * level.width;
          const F row_weight = rows.weight[static_cast<size_t>(r)];
          for (auto c = columns.first[column_bin]; c < columns.first[column_bin + 1]; ++c) {
            const auto e = static_cast<size_t>(c);
            terms.push_back({(row + columns.index[e]) * channels, row_weight * columns.weight[e]});
          }
        }
        sum_pixels<false>(image, terms.data(), terms.size(), channels, out + (k * bins + bin) * channels);
      }
    }
  });
}

template <typename F, typename T, typename O>
void forward_nchw(
    const std::vector<RoiLevel>& pyramid, const std::vector<const T*>& maps, const RoiList<F>& rois,
    const RoiAlignShape& shape, O* out) {
  const int64_t channels = pyramid[0].channels;
  at::parallel_for(0, rois.count, 1, [&](int64_t begin, int64_t end) {
    RoiGrid<F> grid;
    std::vector<F> line;
    for (int64_t k = begin; k < end; ++k) {
      const F* box = rois.box + k * 5;
      const auto l = static_cast<size_t>(rois.level[k]);
      const RoiLevel& level = pyramid[l];
      grid.build(box, level, shape);
      const AxisWeights<F>& rows = grid.rows;
      const AxisWeights<F>& columns = grid.columns;
      const int64_t left = columns.lowest;
      const int64_t span = columns.end - columns.lowest;
      line.assign(static_cast<size_t>(span), F(0));
      for (int64_t channel = 0; channel < channels; ++channel) {
        const T* plane = maps[l] + (image_of(box) * channels + channel) * level.height * level.width;
        O* target = out + (k * channels + channel) * shape.pooled_height * shape.pooled_width;
        for (int64_t i = 0; i < shape.pooled_height; ++i) {
          std::fill(line.begin(), line.end(), F(0));
          for (auto r = rows.first[static_cast<size_t>(i)]; r < rows.first[static_cast<size_t>(i) + 1]; ++r) {
            const T* source = plane + static_cast<int64_t>(rows.index[static_cast<size_t>(r)]) * level.width + left;
            const F weight = rows.weight[static_cast<size_t>(r)];
            F* sums = line.data();
            for (int64_t x = 0; x < span; ++x) {
              sums[x] += weight * static_cast<F>(source[x]);
            }
          }
          for (int64_t j = 0; j < shape.pooled_width; ++j) {
            F sum = F(0);
            for (auto c = columns.first[static_cast<size_t>(j)]; c < columns.first[static_cast<size_t>(j) + 1]; ++c) {
              const auto e = static_cast<size_t>(c);
              sum += columns.weight[e] * line[static_cast<size_t>(columns.index[e] - left)];
            }
            target[i * shape.pooled_width + j] = static_cast<O>(sum);
          }
        }
      }
    }
  });
}

/** Each thread adds up, pixel by pixel of a RoI, what the bins that read the pixel return to its own channels. */
template <typename F, typename T>
void backward_nhwc(
    const std::vector<RoiLevel>& pyramid, const T* grad, const RoiList<F>& rois, const RoiAlignShape& shape,
    const std::vector<F*>& out) {
  const int64_t channels = pyramid[0].channels;
  const int64_t slice = std::min(channels, Lanes<F>::count);
  const int64_t slices = (channels + slice - 1) / slice;
  const int64_t bins = shape.pooled_height * shape.pooled_width;
  at::parallel_for(0, slices, 1, [&](int64_t begin, int64_t end) {
    const int64_t channel = begin * slice;
    const int64_t width = std::min(end * slice, channels) - channel;
    RoiGrid<F> grid;
    RoiGrid<F> readers;
    std::vector<PixelTerm<F>> terms;
    for (int64_t k = 0; k < rois.count; ++k) {
      const F* box = rois.box + k * 5;
      const auto l = static_cast<size_t>(rois.level[k]);
      const RoiLevel& level = pyramid[l];
      grid.build(box, level, shape);
      if (grid.rows.empty() || grid.columns.empty()) {
        continue;
      }
      readers.rows.transpose(grid.rows);
      readers.columns.transpose(grid.columns);
      const T* source = grad + k * bins * channels + channel;
      F* image = out[l] + image_of(box) * level.height * level.width * channels + channel;
      for (int64_t y = grid.rows.lowest; y < grid.rows.end; ++y) {
        const auto row = static_cast<size_t>(y - grid.rows.lowest);
        for (int64_t x = grid.columns.lowest; x < grid.columns.end; ++x) {
          const auto column = static_cast<size_t>(x - grid.columns.lowest);
          terms.clear();
          for (auto r = readers.rows.first[row]; r < readers.rows.first[row + 1]; ++r) {
            const int64_t bin_row = static_cast<int64_t>(readers.rows.index[static_cast<size_t>(r)]) * shape.pooled_width;
            const F row_weight = readers.rows.weight[static_cast<size_t>(r)];
            for (auto c = readers.columns.first[column]; c < readers.columns.first[column + 1]; ++c) {
              const auto e = static_cast<size_t>(c);
              terms.push_back({(bin_row + readers.columns.index[e]) * channels, row_weight * readers.columns.weight[e]});
            }
          }
          if (!terms.empty()) {
            sum_pixels<true>(source, terms.data(), terms.size(), width, image + (y * level.width + x) * channels);
          }
        }
      }
    }
  });
}

template <typename F, typename T>
void backward_nchw(
    const std::vector<RoiLevel>& pyramid, const T* grad, const RoiList<F>& rois, const RoiAlignShape& shape,
    const std::vector<F*>& out) {
  const int64_t channels = pyramid[0].channels;
  at::parallel_for(0, channels, 1, [&](int64_t begin, int64_t end) {
    RoiGrid<F> grid;
    std::vector<F> line;
    for (int64_t k = 0; k < rois.count; ++k) {
      const F* box = rois.box + k * 5;
      const auto l = static_cast<size_t>(rois.level[k]);
      const RoiLevel& level = pyramid[l];
      grid.build(box, level, shape);
      const AxisWeights<F>& rows = grid.rows;
      const AxisWeights<F>& columns = grid.columns;
      const int64_t left = columns.lowest;
      const int64_t span = columns.end - columns.lowest;
      line.resize(static_cast<size_t>(span));
      for (int64_t channel = begin; channel < end; ++channel) {
        F* plane = out[l] + (image_of(box) * channels + channel) * level.height * level.width;
        const T* source = grad + (k * channels + channel) * shape.pooled_height * shape.pooled_width;
        for (int64_t i = 0; i < shape.pooled_height; ++i) {
          std::fill(line.begin(), line.end(), F(0));
          for (int64_t j = 0; j < shape.pooled_width; ++j) {
            const F value = static_cast<F>(source[i * shape.pooled_width + j]);
            for (auto c = columns.first[static_cast<size_t>(j)]; c < columns.first[static_cast<size_t>(j) + 1]; ++c) {
              const auto e = static_cast<size_t>(c);
              line[static_cast<size_t>(columns.index[e] - left)] += columns.weight[e] * value;
            }
          }
          for (auto r = rows.first[static_cast<size_t>(i)]; r < rows.first[static_cast<size_t>(i) + 1]; ++r) {
            F* target = plane + static_cast<int64_t>(rows.index[static_cast<size_t>(r)]) * level.width + left;
            const F weight = rows.weight[static_cast<size_t>(r)];
            const F* sums = line.data();
            for (int64_t x = 0; x < span; ++x) {
              target[x] += weight * sums[x];
            }
          }
        }
      }
    }
  });
}

template <typename F, typename T, typename O>
at::Tensor forward(
    const std::vector<at::Tensor>& inputs, const std::vector<RoiLevel>& pyramid, const at::Tensor& rois,
    const at::Tensor& levels, const RoiAlignShape& shape, bool channels_last) {
  const RoiList<F> list = check_rois<F>("roi_align", rois, levels, pyramid);
  std::vector<const T*> maps;
  maps.reserve(inputs.size());
  for (const at::Tensor& input : inputs) {
    maps.push_back(input.data_ptr<T>());
  }
  at::Tensor output = at::empty(
      {list.count, pyramid[0].channels, shape.pooled_height, shape.pooled_width},
      inputs[0].options().dtype(c10::CppTypeToScalarType<O>::value), format_of(channels_last));
  if (output.numel() == 0) {
    return output;
  }
  if (channels_last) {
    forward_nhwc<F>(pyramid, maps, list, shape, output.data_ptr<O>());
  } else {
    forward_nchw<F>(pyramid, maps, list, shape, output.data_ptr<O>());
  }
  return output;
}

at::Tensor roi_align_multilevel_cpu(
    at::TensorList inputs, const at::Tensor& rois, const at::Tensor& levels, at::ArrayRef<double> spatial_scales,
    int64_t pooled_height, int64_t pooled_width, int64_t sampling_ratio, bool aligned) {
  const RoiAlignShape shape{pooled_height, pooled_width, sampling_ratio, aligned};
  const auto [maps, pyramid, channels_last] = check_roi_inputs(inputs, spatial_scales, shape);
  switch (inputs[0].scalar_type()) {
    case at::kFloat:
      return forward<float, float, float>(maps, pyramid, rois, levels, shape, channels_last);
    case at::kDouble:
      return forward<double, double, double>(maps, pyramid, rois, levels, shape, channels_last);
    case at::kBFloat16:
      return forward<float, at::BFloat16, at::BFloat16>(maps, pyramid, rois, levels, shape, channels_last);
    case at::kHalf:
      return forward<float, at::Half, at::Half>(maps, pyramid, rois, levels, shape, channels_last);
    case at::kByte:
      return forward<float, uint8_t, float>(maps, pyramid, rois, levels, shape, channels_last);
    default:
      TORCH_CHECK(
          false, "roi_align: input must be float32, float64, bfloat16, float16 or uint8, got ", inputs[0].scalar_type());
  }
}

template <typename F, typename T>
std::vector<at::Tensor> backward(
    const at::Tensor& grad, const std::vector<RoiLevel>& pyramid, const at::Tensor& rois, const at::Tensor& levels,
    const RoiAlignShape& shape, bool channels_last) {
  const RoiList<F> list = check_rois<F>("roi_align_backward", rois, levels, pyramid);
  const at::Tensor source = grad.contiguous(format_of(channels_last));
  // Overlapping RoIs add up hundreds of terms: the sum is kept in F and rounded to the input's dtype once.
  std::vector<at::Tensor> sums;
  std::vector<F*> targets;
  for (const RoiLevel& level : pyramid) {
    at::Tensor sum = at::empty(
        {level.images, level.channels, level.height, level.width},
        grad.options().dtype(c10::CppTypeToScalarType<F>::value), format_of(channels_last));
    sums.push_back(sum.zero_());
    targets.push_back(sum.data_ptr<F>());
  }
  if (list.count > 0 && pyramid[0].channels > 0) {
    if (channels_last) {
      backward_nhwc<F>(pyramid, source.data_ptr<T>(), list, shape, targets);
    } else {
      backward_nchw<F>(pyramid, source.data_ptr<T>(), list, shape, targets);
    }
  }
  if constexpr (!std::is_same_v<F, T>) {
    for (at::Tensor& sum : sums) {
      sum = sum.to(grad.scalar_type());
    }
  }
  return sums;
}

/** The sums are the same in every run, whatever `deterministic` says. */
std::vector<at::Tensor> roi_align_backward_cpu(
    const at::Tensor& grad, const at::Tensor& rois, const at::Tensor& levels, at::IntArrayRef input_sizes,
    at::ArrayRef<double> spatial_scales, int64_t sampling_ratio, bool aligned, bool channels_last,
    bool /*deterministic*/) {
  const auto [pyramid, shape] = check_roi_gradient(grad, rois, input_sizes, spatial_scales, sampling_ratio, aligned);
  switch (grad.scalar_type()) {
    case at::kFloat:
      return backward<float, float>(grad, pyramid, rois, levels, shape, channels_last);
    case at::kDouble:
      return backward<double, double>(grad, pyramid, rois, levels, shape, channels_last);
    case at::kBFloat16:
      return backward<float, at::BFloat16>(grad, pyramid, rois, levels, shape, channels_last);
    case at::kHalf:
      return backward<float, at::Half>(grad, pyramid, rois, levels, shape, channels_last);
    default:
      TORCH_CHECK(false, "roi_align_backward: grad must be floating point, got ", grad.scalar_type());
  }
}

} // namespace
} // namespace goshawk

TORCH_LIBRARY_IMPL(goshawk, CPU, m) {
  m.impl("roi_align_multilevel", TORCH_FN(goshawk::roi_align_multilevel_cpu));
  m.impl("roi_align_backward", TORCH_FN(goshawk::roi_align_backward_cpu));
}
