// What batch and group norm share: values are normalised by the mean and variance of the unit that they belong to, a channel
// of all images or a group of channels of one image, and scaled by their channel's weight and bias.
#pragma once

#include "channel-sums.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <initializer_list>
#include <type_traits>
#include <vector>

namespace goshawk {

/** float32 or bfloat16 maps [N, C, ...] whose pixels or channels lie side by side, and the units in them. */
struct NormMaps {
  at::Tensor values;
  MapLayout layout;
  /** Channels of one image that make a unit; 0 where one channel of all images does. */
  int64_t channels_per_unit;

  int64_t units() const {
    return channels_per_unit == 0 ? layout.channels : layout.rows() / channels_per_unit;
  }
  /** The unit of a channel, counted over all samples. */
  int64_t unit_of(int64_t row) const {
    return channels_per_unit == 0 ? row % layout.channels : row / channels_per_unit;
  }
  /** Where the first value of a unit lies. */
  int64_t first_of(int64_t unit) const {
    const int64_t row = channels_per_unit == 0 ? unit : unit * channels_per_unit;
    const int64_t sample = row / layout.channels, channel = row % layout.channels;
    const int64_t start = sample * layout.channels * layout.pixels;
    return start + (layout.channels_last ? channel : channel * layout.pixels);
  }
  double values_per_unit() const {
    return static_cast<double>(values.numel()) / static_cast<double>(units());
  }
};

inline bool is_channels_last(const at::Tensor& input) {
  return input.dim() == 4 && input.size(1) > 1 && input.is_contiguous(at::MemoryFormat::ChannelsLast);
}

/** `like` says which of the two memory formats; copies what lies in neither. */
inline at::Tensor laid_out_as(const at::Tensor& input, const at::Tensor& like) {
  return input.contiguous(is_channels_last(like) ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous);
}

inline NormMaps batch_maps(const at::Tensor& input) {
  const int64_t images = input.size(0), channels = input.size(1), pixels = input.numel() / (images * channels);
  const bool channels_last = is_channels_last(input) || pixels == 1;
  // Side by side, the images' pixels are those of one large image.
  const MapLayout layout =
      channels_last ? MapLayout{1, channels, images * pixels, true} : MapLayout{images, channels, pixels, false};
  return {laid_out_as(input, input), layout, 0};
}

inline NormMaps group_maps(const at::Tensor& input, int64_t groups) {
  const int64_t images = input.size(0), channels = input.size(1), pixels = input.numel() / (images * channels);
  const MapLayout layout{images, channels, pixels, is_channels_last(input)};
  return {laid_out_as(input, input), layout, channels / groups};
}

template <typename Body>
void with_type(const at::Tensor& values, const Body& body) {
  if (values.scalar_type() == at::kFloat) {
    body(values.data_ptr<float>());
  } else {
    body(values.data_ptr<at::BFloat16>());
  }
}

/** [2, units] float64: the mean, and the sum of the squared distances from it. */
inline at::Tensor statistics_of(const NormMaps& maps) {
  const auto rows = static_cast<size_t>(maps.layout.rows());
  const int64_t units = maps.units();
  std::vector<float> centre(rows);
  std::vector<double> first(rows), second(rows);
  with_type(maps.values, [&](const auto* x) {
    for (size_t row = 0; row < rows; ++row) {
      centre[row] = static_cast<float>(x[maps.first_of(maps.unit_of(static_cast<int64_t>(row)))]);
    }
    sum_channels(x, maps.layout, centre.data(), first.data(), second.data());
  });
  at::Tensor statistics = at::zeros({2, units}, maps.values.options().dtype(at::kDouble));
  double* mean = statistics.data_ptr<double>();
  double* squares = mean + units;
  std::vector<double> centre_of_unit(static_cast<size_t>(units));
  for (size_t row = 0; row < rows; ++row) {
    const int64_t unit = maps.unit_of(static_cast<int64_t>(row));
    mean[unit] += first[row];
    squares[unit] += second[row];
    centre_of_unit[static_cast<size_t>(unit)] = centre[row];
  }
  const double count = maps.values_per_unit();
  for (int64_t unit = 0; unit < units; ++unit) {
    const double distance = mean[unit] / count;
    squares[unit] = std::max(0.0, squares[unit] - mean[unit] * distance);
    mean[unit] = centre_of_unit[static_cast<size_t>(unit)] + distance;
  }
  return statistics;
}

/** 1 / sqrt(variance + eps) of each unit; statistics are those of `count` values. */
inline std::vector<double> inverse_deviations(const at::Tensor& statistics, double count, double eps) {
  const int64_t units = statistics.size(1);
  const double* squares = statistics.data_ptr<double>() + units;
  std::vector<double> result(static_cast<size_t>(units));
  for (int64_t unit = 0; unit < units; ++unit) {
    result[static_cast<size_t>(unit)] = 1 / std::sqrt(squares[unit] / count + eps);
  }
  return result;
}

/** (x - mean) / sqrt(variance + eps) * weight + bias. */
inline at::Tensor normalise(
    const NormMaps& maps, const at::Tensor& weight, const at::Tensor& bias, const at::Tensor& statistics, double count,
    double eps) {
  const auto rows = static_cast<size_t>(maps.layout.rows());
  const std::vector<double> inverse = inverse_deviations(statistics, count, eps);
  const double* mean = statistics.data_ptr<double>();
  const float* w = weight.data_ptr<float>();
  const float* b = bias.data_ptr<float>();
  std::vector<float> centre(rows), slope(rows), offset(rows);
  for (size_t row = 0; row < rows; ++row) {
    const int64_t unit = maps.unit_of(static_cast<int64_t>(row));
    const int64_t c = static_cast<int64_t>(row) % maps.layout.channels;
    const double by = w[c] * inverse[static_cast<size_t>(unit)];
    centre[row] = static_cast<float>(mean[unit]);
    slope[row] = static_cast<float>(by);
    offset[row] = static_cast<float>(b[c] - (mean[unit] - centre[row]) * by);
  }
  at::Tensor output = at::empty_like(maps.values);
  with_type(output, [&](auto* out) {
    const auto* x = maps.values.data_ptr<std::remove_pointer_t<decltype(out)>>();
    scale_channels(x, maps.layout, {centre.data(), slope.data(), offset.data()}, out);
  });
  return output;
}

/** [2, samples * channels] float64: sums of gradient and of gradient * (x - mean). `gradient` lies as the maps do. */
inline at::Tensor gradient_sums(const NormMaps& maps, const at::Tensor& gradient, const at::Tensor& statistics) {
  const int64_t rows = maps.layout.rows();
  const double* mean = statistics.data_ptr<double>();
  std::vector<float> centre(static_cast<size_t>(rows));
  for (int64_t row = 0; row < rows; ++row) {
    centre[static_cast<size_t>(row)] = static_cast<float>(mean[maps.unit_of(row)]);
  }
  at::Tensor sums = at::empty({2, rows}, statistics.options());
  double* first = sums.data_ptr<double>();
  with_type(maps.values, [&](const auto* x) {
    const auto* slopes = gradient.data_ptr<std::remove_const_t<std::remove_pointer_t<decltype(x)>>>();
    sum_gradients(slopes, x, maps.layout, centre.data(), first, first + rows);
  });
  for (int64_t row = 0; row < rows; ++row) {
    first[rows + row] -= (mean[maps.unit_of(row)] - centre[static_cast<size_t>(row)]) * first[row];
  }
  return sums;
}

/**
 * The gradient of the maps, (gradient * weight - first / count - (x - mean) * second / (count * (variance + eps))) /
 * sqrt(variance + eps), where first and second are the sums over the unit of gradient * weight and of
 * gradient * weight * (x - mean).
 * @param sums [2, units] of those two
 */
inline at::Tensor input_gradient(
    const NormMaps& maps, const at::Tensor& gradient, const at::Tensor& weight, const at::Tensor& statistics,
    const at::Tensor& sums, double count, double eps) {
  const auto rows = static_cast<size_t>(maps.layout.rows());
  const int64_t units = maps.units();
  const std::vector<double> inverse = inverse_deviations(statistics, count, eps);
  const double* mean = statistics.data_ptr<double>();
  const double* first = sums.data_ptr<double>();
  const float* w = weight.data_ptr<float>();
  std::vector<float> centre(rows), factor(rows), slope(rows), offset(rows);
  for (size_t row = 0; row < rows; ++row) {
    const int64_t unit = maps.unit_of(static_cast<int64_t>(row));
    const double by = inverse[static_cast<size_t>(unit)];
    const double tilt = first[units + unit] / count * by * by * by;
    centre[row] = static_cast<float>(mean[unit]);
    factor[row] = static_cast<float>(w[static_cast<int64_t>(row) % maps.layout.channels] * by);
    slope[row] = static_cast<float>(tilt);
    offset[row] = static_cast<float>(first[unit] / count * by - (mean[unit] - centre[row]) * tilt);
  }
  at::Tensor result = at::empty_like(maps.values);
  with_type(result, [&](auto* out) {
    typedef std::remove_pointer_t<decltype(out)> T;
    const ChannelLines lines{centre.data(), slope.data(), offset.data()};
    spread_gradients(gradient.data_ptr<T>(), maps.values.data_ptr<T>(), maps.layout, factor.data(), lines, out);
  });
  return result;
}

/** Whether these kernels compute it: float32 or bfloat16 on the CPU, with a float32 weight and bias. */
inline bool is_normalised_here(const at::Tensor& input, std::initializer_list<at::Tensor> parameters) {
  const auto type = input.scalar_type();
  return input.device().is_cpu() && (type == at::kFloat || type == at::kBFloat16) && input.numel() > 0 &&
      std::all_of(parameters.begin(), parameters.end(), [](const at::Tensor& each) {
           return each.device().is_cpu() && each.scalar_type() == at::kFloat && each.is_contiguous();
         });
}

/**
 * What backward() returns where derivatives of it are wanted too: the engine's, by way of its own output.
 * @param wanted which of input, weight and bias need theirs
 * @param arguments of forward(); those that are no sources get none
 */
inline torch::autograd::variable_list derivable_gradients(
    const at::Tensor& output, const std::array<at::Tensor, 3>& sources, const std::array<bool, 3>& wanted,
    const at::Tensor& gradient, size_t arguments) {
  torch::autograd::variable_list chosen;
  for (size_t i = 0; i < sources.size(); ++i) {
    if (wanted[i]) {
      chosen.push_back(sources[i]);
    }
  }
  const auto found = torch::autograd::grad({output}, chosen, {gradient}, /*retain_graph=*/true, /*create_graph=*/true);
  torch::autograd::variable_list result(arguments);
  for (size_t i = 0, next = 0; i < sources.size(); ++i) {
    if (wanted[i]) {
      result[i] = found[next++];
    }
  }
  return result;
}

} // namespace goshawk
