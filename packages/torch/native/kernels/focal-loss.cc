// Sigmoid focal loss (Lin et al., Focal Loss for Dense Object Detection, 2017, equation 5) of every anchor and class,
// with its gradient. A one-stage detector has tens of millions of these values a step: written as operators the loss
// passes some twenty times over them, here once, and backward() finds the gradient done.
//
// With p = sigmoid(x) and s = softplus(x) = -log(1 - p), an absent class costs (1 - alpha) p^gamma s, whose derivative is
// (1 - alpha) p^gamma (gamma (1 - p) s + p). A present one costs the same of -x with alpha in place of 1 - alpha.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/library.h>

#include <algorithm>
#include <cstring>
#include <tuple>
#include <type_traits>
#include <vector>

#include "focal-loss.h"

namespace goshawk {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

/** Values a time: they stay in the first-level cache. */
constexpr int64_t kLogitBlock = 1024;

inline float load(float value) {
  return value;
}
inline float load(at::BFloat16 value) {
  return float_of_bits(static_cast<uint32_t>(value.x) << 16);
}
inline void store(float& into, float value) {
  into = value;
}
inline void store(at::BFloat16& into, float value) {
  uint32_t raw;
  std::memcpy(&raw, &value, sizeof(raw));
  const uint32_t rounded = (raw + 0x7fffu + ((raw >> 16) & 1u)) >> 16;
  into.x = static_cast<uint16_t>(value == value ? rounded : 0x7fc0u);
}

/** Sum over `count` values of focal_term(); gradients, times `scale`, go to `gradient` unless that is null. */
template <typename T, bool kSquare>
double absent_block(const T* logits, T* gradient, int64_t count, float scale, float gamma) {
  alignas(64) float loss[kLogitBlock];
  if (gradient != nullptr) {
    for (int64_t i = 0; i < count; ++i) {
      const FocalTerm<float> term = focal_term<kSquare>(load(logits[i]), gamma);
      loss[i] = term.loss;
      store(gradient[i], term.gradient * scale);
    }
  } else {
    for (int64_t i = 0; i < count; ++i) {
      loss[i] = focal_term<kSquare>(load(logits[i]), gamma).loss;
    }
  }
  constexpr int64_t kLanes = 16;
  float lanes[kLanes] = {};
  const int64_t whole = count - count % kLanes;
  for (int64_t i = 0; i < whole; i += kLanes) {
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      lanes[lane] += loss[i + lane];
    }
  }
  double sum = 0;
  for (const float lane : lanes) {
    sum += lane;
  }
  for (int64_t i = whole; i < count; ++i) {
    sum += loss[i];
  }
  return sum;
}

struct Options {
  int64_t classes;
  double alpha;
  double gamma;
};

/** The loss of `rows` anchors of one image. */
template <typename T, bool kSquare>
double rows_loss(
    const T* logits, const int64_t* targets, T* gradient, int64_t rows, double weight, const Options& options) {
  const int64_t classes = options.classes;
  const auto gamma = static_cast<float>(options.gamma);
  const auto scale = static_cast<float>((1 - options.alpha) * weight);
  double background = 0;
  double corrections = 0;
  for (int64_t row = 0; row < rows;) {
    if (targets[row] == kFocalIgnored) {
      if (gradient != nullptr) {
        std::fill_n(gradient + row * classes, classes, T(0));
      }
      ++row;
      continue;
    }
    int64_t end = row + 1;
    while (end < rows && targets[end] != kFocalIgnored) {
      ++end;
    }
    for (int64_t at = row * classes; at < end * classes; at += kLogitBlock) {
      const int64_t count = std::min(kLogitBlock, end * classes - at);
      background += absent_block<T, kSquare>(
          logits + at, gradient == nullptr ? nullptr : gradient + at, count, scale, gamma);
    }
    for (; row < end; ++row) {
      if (targets[row] < 0) {
        continue;
      }
      const int64_t at = row * classes + targets[row];
      const float x = load(logits[at]);
      const FocalTerm<float> present = focal_term<kSquare>(-x, gamma);
      corrections += options.alpha * present.loss - (1 - options.alpha) * focal_term<kSquare>(x, gamma).loss;
      if (gradient != nullptr) {
        store(gradient[at], static_cast<float>(-options.alpha * weight) * present.gradient);
      }
    }
  }
  return weight * ((1 - options.alpha) * background + corrections);
}

template <typename T>
double fused(
    const at::Tensor& logits, const at::Tensor& targets, const at::Tensor& weights, const Options& options,
    T* gradient) {
  const int64_t images = targets.size(0);
  const int64_t rows = targets.size(1);
  const int64_t chunks = (rows + kFocalRows - 1) / kFocalRows;
  const T* values = logits.data_ptr<T>();
  const int64_t* target = targets.data_ptr<int64_t>();
  const double* weight = weights.data_ptr<double>();
  std::vector<double> sums(static_cast<size_t>(images * chunks));
  at::parallel_for(0, images * chunks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t chunk = begin; chunk < end; ++chunk) {
      const int64_t image = chunk / chunks;
      const int64_t from = chunk % chunks * kFocalRows;
      const int64_t count = std::min(kFocalRows, rows - from);
      const int64_t first = image * rows + from;
      T* into = gradient == nullptr ? nullptr : gradient + first * options.classes;
      const auto run = options.gamma == 2 ? &rows_loss<T, true> : &rows_loss<T, false>;
      sums[static_cast<size_t>(chunk)] =
          run(values + first * options.classes, target + first, into, count, weight[image], options);
    }
  });
  double total = 0;
  for (const double sum : sums) {
    total += sum;
  }
  return total;
}

/** The same by the engine's operators, for other dtypes. `x` is [N, R, C]. */
std::tuple<at::Tensor, at::Tensor> by_operators(
    const at::Tensor& x, const at::Tensor& targets, const at::Tensor& weights, const Options& options,
    bool with_gradient) {
  const double gamma = options.gamma;
  const auto terms = [gamma](const at::Tensor& at) {
    const at::Tensor p = at.sigmoid();
    const at::Tensor s = at::softplus(at);
    const at::Tensor power = gamma == 2 ? p * p : at::exp(at::log_sigmoid(at) * gamma);
    return std::make_tuple(power * s, power * ((1 - p) * gamma * s + p));
  };
  const at::Tensor scale = weights.to(x.scalar_type()).view({-1, 1}) * (targets != kFocalIgnored).to(x.scalar_type());
  const at::Tensor positive = (targets >= 0).flatten().nonzero().squeeze(1);
  const at::Tensor place =
      positive * options.classes + targets.flatten().index_select(0, positive);
  const at::Tensor chosen = x.flatten().index_select(0, place);
  const at::Tensor chosen_scale = scale.flatten().index_select(0, positive);
  auto [losses, gradient] = terms(x);
  const auto [missed, missed_gradient] = terms(-chosen);
  const at::Tensor background = (losses.sum(-1) * scale).sum() * (1 - options.alpha);
  const at::Tensor counted = losses.flatten().index_select(0, place);
  const at::Tensor loss =
      background + ((missed * options.alpha - counted * (1 - options.alpha)) * chosen_scale).sum();
  if (!with_gradient) {
    return {loss, at::Tensor()};
  }
  gradient.mul_((scale * (1 - options.alpha)).unsqueeze(-1));
  gradient.view({-1}).index_copy_(0, place, missed_gradient * chosen_scale * -options.alpha);
  return {loss, gradient};
}

void check_targets(const at::Tensor& targets, int64_t classes) {
  const at::Tensor values = targets.contiguous();
  const int64_t* first = values.data_ptr<int64_t>();
  const auto [lowest, highest] = std::minmax_element(first, first + values.numel());
  TORCH_CHECK(
      *highest < classes && *lowest >= kFocalIgnored, "sigmoid_focal_loss: targets must be classes 0..", classes - 1,
      ", -1 for none, -2 to be left out");
}

/** A scalar, and the logits' gradient of it (empty where none is asked for). */
std::tuple<at::Tensor, at::Tensor> loss_and_gradient_cpu(
    const at::Tensor& logits, const at::Tensor& targets, const at::Tensor& weights, double alpha, double gamma,
    bool with_gradient) {
  check_focal_loss(logits, targets, weights, alpha, gamma);
  const int64_t rows = targets.numel();
  if (rows == 0) {
    return {at::zeros({}, logits.options().dtype(at::kFloat)), at::zeros_like(logits)};
  }
  const Options options{logits.numel() / rows, alpha, gamma};
  check_targets(targets, options.classes);
  // Channels last, the maps' memory is [N, anchors, classes] already.
  const at::Tensor values =
      logits.dim() == 4 ? logits.contiguous(at::MemoryFormat::ChannelsLast) : logits.contiguous();
  const bool is_fused = values.scalar_type() == at::kFloat || values.scalar_type() == at::kBFloat16;
  if (!is_fused) {
    const at::Tensor flat = logits.dim() == 4 ? values.permute({0, 2, 3, 1}) : values;
    const at::Tensor x = flat.reshape({targets.size(0), targets.size(1), options.classes});
    const bool wide = x.scalar_type() == at::kDouble;
    auto [loss, gradient] = by_operators(wide ? x : x.to(at::kFloat), targets, weights, options, with_gradient);
    if (with_gradient) {
      // float16 is left to backward(): without the factor that comes there small gradients would vanish in it.
      if (values.scalar_type() != at::kHalf) gradient = gradient.to(values.scalar_type());
      gradient = gradient.view(flat.sizes());
      gradient = logits.dim() == 4 ? gradient.permute({0, 3, 1, 2}) : gradient;
    }
    return {loss, with_gradient ? gradient : at::empty({0}, values.options())};
  }
  const at::Tensor target = targets.contiguous();
  const at::Tensor weight = weights.to(at::kDouble).contiguous();
  at::Tensor gradient = with_gradient ? at::empty_like(values) : at::empty({0}, values.options());
  const double total = values.scalar_type() == at::kFloat
      ? fused<float>(values, target, weight, options, with_gradient ? gradient.data_ptr<float>() : nullptr)
      : fused<at::BFloat16>(values, target, weight, options, with_gradient ? gradient.data_ptr<at::BFloat16>() : nullptr);
  return {at::scalar_tensor(total, values.options().dtype(at::kFloat)), gradient};
}

/** The device's own. */
std::tuple<at::Tensor, at::Tensor> loss_and_gradient(
    const at::Tensor& logits, const at::Tensor& targets, const at::Tensor& weights, double alpha, double gamma,
    bool with_gradient) {
  static const auto op =
      c10::Dispatcher::singleton()
          .findSchemaOrThrow("goshawk::sigmoid_focal_loss_and_gradient", "")
          .typed<std::tuple<at::Tensor, at::Tensor>(
              const at::Tensor&, const at::Tensor&, const at::Tensor&, double, double, bool)>();
  return op.call(logits, targets, weights, alpha, gamma, with_gradient);
}

class FocalLossFunction : public torch::autograd::Function<FocalLossFunction> {
 public:
  static Variable forward(
      AutogradContext* ctx, const Variable& logits, const Variable& targets, const Variable& weights, double alpha,
      double gamma, bool with_gradient) {
    at::AutoDispatchBelowADInplaceOrView below;
    auto [loss, gradient] = loss_and_gradient(logits, targets, weights, alpha, gamma, with_gradient);
    if (with_gradient) {
      ctx->save_for_backward({gradient});
      ctx->saved_data["dtype"] = static_cast<int64_t>(logits.scalar_type());
    }
    return loss;
  }

  static variable_list backward(AutogradContext* ctx, const variable_list& grads) {
    const at::Tensor gradient = ctx->get_saved_variables()[0];
    const at::Tensor& factor = grads[0];
    // A loss that is summed and nothing else gets a factor of 1: one pass less.
    const bool is_one = factor.device().is_cpu() && factor.scalar_type() == at::kFloat && *factor.data_ptr<float>() == 1;
    const auto type = static_cast<at::ScalarType>(ctx->saved_data["dtype"].toInt());
    return {(is_one ? gradient : gradient * factor.to(gradient.scalar_type())).to(type), {}, {}, {}, {}, {}};
  }
};

at::Tensor focal_loss_autograd(
    const at::Tensor& logits, const at::Tensor& targets, const at::Tensor& weights, double alpha, double gamma) {
  const bool with_gradient = logits.requires_grad() && at::GradMode::is_enabled();
  return FocalLossFunction::apply(logits, targets, weights, alpha, gamma, with_gradient);
}

at::Tensor focal_loss(
    const at::Tensor& logits, const at::Tensor& targets, const at::Tensor& weights, double alpha, double gamma) {
  return std::get<0>(loss_and_gradient(logits, targets, weights, alpha, gamma, false));
}

} // namespace
} // namespace goshawk

TORCH_LIBRARY_IMPL(goshawk, CPU, m) {
  m.impl("sigmoid_focal_loss_and_gradient", TORCH_FN(goshawk::loss_and_gradient_cpu));
}

TORCH_LIBRARY_IMPL(goshawk, CompositeExplicitAutograd, m) {
  m.impl("sigmoid_focal_loss", TORCH_FN(goshawk::focal_loss));
}

TORCH_LIBRARY_IMPL(goshawk, Autograd, m) {
  m.impl("sigmoid_focal_loss", TORCH_FN(goshawk::focal_loss_autograd));
}
