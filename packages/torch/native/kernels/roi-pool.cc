// RoIPool (Girshick, Fast R-CNN, 2015, section 2.1) with its gradient: the maximum of each bin (arithmetic/roi-bins.h).
#include <ATen/ATen.h>
#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <algorithm>
#include <tuple>

#include "arithmetic/roi-bins.h"
#include "roi-pool.h"

namespace goshawk {
namespace {

/** The strides that make one loop serve both memory formats; the inner one runs over channels. */
struct Layout {
  int64_t image;
  int64_t channel;
  int64_t pixel;
};

Layout layout_of(int64_t channels, int64_t area, bool channels_last) {
  return channels_last ? Layout{channels * area, 1, channels} : Layout{channels * area, area, 1};
}

template <typename F, typename T>
void forward(
    const at::Tensor& input, const RoiList<F>& rois, double spatial_scale, bool channels_last, at::Tensor& output,
    at::Tensor& argmax) {
  const int64_t channels = input.size(1);
  const int64_t height = input.size(2);
  const int64_t width = input.size(3);
  const int64_t pooled_height = output.size(2);
  const int64_t pooled_width = output.size(3);
  const Layout from = layout_of(channels, height * width, channels_last);
  const Layout to = layout_of(channels, pooled_height * pooled_width, channels_last);
  const T* data = input.data_ptr<T>();
  T* out = output.data_ptr<T>();
  int32_t* arg = argmax.data_ptr<int32_t>();
  const F scale = static_cast<F>(spatial_scale);
  const auto bins_down = static_cast<int32_t>(pooled_height), bins_across = static_cast<int32_t>(pooled_width);
  const auto map_height = static_cast<int32_t>(height), map_width = static_cast<int32_t>(width);
  at::parallel_for(0, rois.count, 1, [&](int64_t k_begin, int64_t k_end) {
    std::vector<F> best(static_cast<size_t>(channels));
    std::vector<int32_t> where(static_cast<size_t>(channels));
    for (int64_t k = k_begin; k < k_end; ++k) {
      const F* box = rois.box + k * 5;
      const T* image = data + static_cast<int64_t>(box[0]) * from.image;
      const F left = rounded_end(box[1], scale);
      const F top = rounded_end(box[2], scale);
      const F right = rounded_end(box[3], scale);
      const F bottom = rounded_end(box[4], scale);
      for (int64_t i = 0; i < pooled_height; ++i) {
        const PixelRange rows = bin_pixels(top, bottom, static_cast<int32_t>(i), bins_down, map_height);
        for (int64_t j = 0; j < pooled_width; ++j) {
          const PixelRange columns = bin_pixels(left, right, static_cast<int32_t>(j), bins_across, map_width);
          const bool empty = rows.end <= rows.begin || columns.end <= columns.begin;
          std::fill(best.begin(), best.end(), empty ? F(0) : lowest_finite<F>());
          std::fill(where.begin(), where.end(), -1);
          for (int64_t y = rows.begin; y < rows.end; ++y) {
            for (int64_t x = columns.begin; x < columns.end; ++x) {
              const int64_t pixel = y * width + x;
              const T* values = image + pixel * from.pixel;
              for (int64_t c = 0; c < channels; ++c) {
                const F value = static_cast<F>(values[c * from.channel]);
                const bool higher = value > best[static_cast<size_t>(c)];
                best[static_cast<size_t>(c)] = higher ? value : best[static_cast<size_t>(c)];
                where[static_cast<size_t>(c)] =
                    higher ? static_cast<int32_t>(pixel) : where[static_cast<size_t>(c)];
              }
            }
          }
          const int64_t target = k * to.image + (i * pooled_width + j) * to.pixel;
          for (int64_t c = 0; c < channels; ++c) {
            out[target + c * to.channel] = static_cast<T>(best[static_cast<size_t>(c)]);
            arg[target + c * to.channel] = where[static_cast<size_t>(c)];
          }
        }
      }
    }
  });
}

std::tuple<at::Tensor, at::Tensor> roi_pool_cpu(
    const at::Tensor& input, const at::Tensor& rois, double spatial_scale, int64_t pooled_height,
    int64_t pooled_width) {
  check_pooled(input, rois, pooled_height, pooled_width);
  const bool channels_last = input.suggest_memory_format() == at::MemoryFormat::ChannelsLast;
  const at::Tensor map = input.contiguous(format_of(channels_last));
  const std::vector<int64_t> size{rois.size(0), input.size(1), pooled_height, pooled_width};
  at::Tensor output = at::empty(size, input.options(), format_of(channels_last));
  at::Tensor argmax = at::empty(size, input.options().dtype(at::kInt), format_of(channels_last));
  const at::Tensor levels = at::zeros({rois.size(0)}, at::kLong);
  const std::vector<RoiLevel> pyramid{{input.size(0), input.size(1), input.size(2), input.size(3), spatial_scale}};
  AT_DISPATCH_FLOATING_TYPES_AND2(at::kBFloat16, at::kHalf, input.scalar_type(), "roi_pool", [&] {
    using F = std::conditional_t<std::is_same_v<scalar_t, double>, double, float>;
    forward<F, scalar_t>(
        map, check_rois<F>("roi_pool", rois, levels, pyramid), spatial_scale, channels_last, output, argmax);
  });
  return {output, argmax};
}

/** Each thread scatters into its own channels: no atomics, and the same bits for any number of threads. */
template <typename F, typename T>
void backward(
    const at::Tensor& grad, const at::Tensor& argmax, const RoiList<F>& rois, bool channels_last, at::Tensor& sums) {
  const int64_t channels = sums.size(1);
  const int64_t bins = grad.size(2) * grad.size(3);
  const Layout from = layout_of(channels, bins, channels_last);
  const Layout to = layout_of(channels, sums.size(2) * sums.size(3), channels_last);
  const T* source = grad.data_ptr<T>();
  const int32_t* arg = argmax.data_ptr<int32_t>();
  F* target = sums.data_ptr<F>();
  at::parallel_for(0, channels, 16, [&](int64_t begin, int64_t end) {
    for (int64_t k = 0; k < rois.count; ++k) {
      F* image = target + static_cast<int64_t>(rois.box[k * 5]) * to.image;
      for (int64_t bin = 0; bin < bins; ++bin) {
        for (int64_t c = begin; c < end; ++c) {
          const int64_t at = k * from.image + bin * from.pixel + c * from.channel;
          if (arg[at] >= 0) {
            image[arg[at] * to.pixel + c * to.channel] += static_cast<F>(source[at]);
          }
        }
      }
    }
  });
}

/** The sums are the same in every run, whatever `deterministic` says. */
at::Tensor roi_pool_backward_cpu(
    const at::Tensor& grad, const at::Tensor& argmax, const at::Tensor& rois, at::IntArrayRef input_size,
    bool channels_last, bool /*deterministic*/) {
  check_pooled_gradient(grad, argmax, input_size);
  const at::Tensor source = grad.contiguous(format_of(channels_last));
  const at::Tensor where = argmax.contiguous(format_of(channels_last));
  const int64_t places = input_size[2] * input_size[3];
  const auto is_place = [places](int32_t place) { return place < places; };
  TORCH_CHECK(
      std::all_of(where.data_ptr<int32_t>(), where.data_ptr<int32_t>() + where.numel(), is_place),
      "roi_pool_backward: argmax points outside of the feature map ", input_size);
  const at::Tensor levels = at::zeros({rois.size(0)}, at::kLong);
  const std::vector<RoiLevel> pyramid{{input_size[0], input_size[1], input_size[2], input_size[3], 1.0}};
  at::Tensor sums;
  AT_DISPATCH_FLOATING_TYPES_AND2(at::kBFloat16, at::kHalf, grad.scalar_type(), "roi_pool_backward", [&] {
    using F = std::conditional_t<std::is_same_v<scalar_t, double>, double, float>;
    sums = at::empty(
        input_size, grad.options().dtype(c10::CppTypeToScalarType<F>::value), format_of(channels_last)).zero_();
    backward<F, scalar_t>(
        source, where, check_rois<F>("roi_pool_backward", rois, levels, pyramid), channels_last, sums);
  });
  return sums.to(grad.scalar_type());
}

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

class RoiPoolFunction : public torch::autograd::Function<RoiPoolFunction> {
 public:
  static variable_list forward(
      AutogradContext* ctx, const Variable& input, const Variable& rois, double spatial_scale, int64_t pooled_height,
      int64_t pooled_width) {
    at::AutoDispatchBelowADInplaceOrView below;
    static const auto op =
        c10::Dispatcher::singleton()
            .findSchemaOrThrow("goshawk::roi_pool", "")
            .typed<std::tuple<at::Tensor, at::Tensor>(const at::Tensor&, const at::Tensor&, double, int64_t, int64_t)>();
    const auto result = op.call(input, rois, spatial_scale, pooled_height, pooled_width);
    ctx->save_for_backward({rois, std::get<1>(result)});
    ctx->mark_non_differentiable({std::get<1>(result)});
    ctx->saved_data["size"] = input.sizes().vec();
    ctx->saved_data["channels_last"] = input.suggest_memory_format() == at::MemoryFormat::ChannelsLast;
    return {std::get<0>(result), std::get<1>(result)};
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    TORCH_CHECK(
        !(at::GradMode::is_enabled() && grads[0].requires_grad()),
        "roi_pool: has no second derivative: call backward without create_graph");
    at::AutoDispatchBelowADInplaceOrView below;
    static const auto op =
        c10::Dispatcher::singleton()
            .findSchemaOrThrow("goshawk::roi_pool_backward", "")
            .typed<at::Tensor(const at::Tensor&, const at::Tensor&, const at::Tensor&, at::IntArrayRef, bool, bool)>();
    const auto saved = ctx->get_saved_variables();
    variable_list result(5);
    result[0] = op.call(
        grads[0], saved[1], saved[0], ctx->saved_data["size"].toIntVector(), ctx->saved_data["channels_last"].toBool(),
        at::globalContext().deterministicAlgorithms());
    return result;
  }
};

std::tuple<at::Tensor, at::Tensor> roi_pool_autograd(
    const at::Tensor& input, const at::Tensor& rois, double spatial_scale, int64_t pooled_height,
    int64_t pooled_width) {
  const auto result = RoiPoolFunction::apply(input, rois, spatial_scale, pooled_height, pooled_width);
  return {result[0], result[1]};
}

} // namespace
} // namespace goshawk

TORCH_LIBRARY_IMPL(goshawk, CPU, m) {
  m.impl("roi_pool", TORCH_FN(goshawk::roi_pool_cpu));
  m.impl("roi_pool_backward", TORCH_FN(goshawk::roi_pool_backward_cpu));
}

TORCH_LIBRARY_IMPL(goshawk, Autograd, m) {
  m.impl("roi_pool", TORCH_FN(goshawk::roi_pool_autograd));
}
