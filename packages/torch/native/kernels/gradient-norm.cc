// The norm of all gradients as one vector. On the CPU with sums in double: the engine adds squares to floats one after another,
// and of the 13 million values of a box head's first layer a sum that has grown swallows the small ones: a thousandth is missing.
#include "optimizer-steps.h"
#include "share-work.h"

#include <torch/library.h>

#include <limits>

namespace goshawk {
namespace {

/** Values of a piece: decided by the shape alone, for the same sums on any number of threads. */
constexpr int64_t kPiece = kStepGrain;
constexpr int64_t kChains = 16;

/** Of their squares, or of their sizes. */
template <bool kSquares>
double sum_of(const float* values, int64_t count) {
  double chains[kChains] = {};
  const auto term = [](float value) {
    const double wide = value;
    return kSquares ? wide * wide : std::fabs(wide);
  };
  const int64_t whole = count - count % kChains;
  for (int64_t i = 0; i < whole; i += kChains) {
    for (int64_t chain = 0; chain < kChains; ++chain) {
      chains[chain] += term(values[i + chain]);
    }
  }
  double sum = 0;
  for (const double chain : chains) {
    sum += chain;
  }
  for (int64_t i = whole; i < count; ++i) {
    sum += term(values[i]);
  }
  return sum;
}

/** What is no number is larger than any. */
double largest_of(const float* values, int64_t count) {
  float largest = 0;
  int32_t strange = 0;
  for (int64_t i = 0; i < count; ++i) {
    const float size = std::fabs(values[i]);
    largest = size > largest ? size : largest;
    strange |= size != size;
  }
  return strange != 0 ? std::numeric_limits<double>::quiet_NaN() : largest;
}

double larger(double a, double b) {
  return std::isnan(a) || a > b ? a : b;
}

/** Of the values' powers, summed, or of the largest. */
double measure_of(const at::Tensor& gradient, double p) {
  const bool is_largest = std::isinf(p);
  const at::Tensor values = is_plain_float(gradient) ? gradient : gradient.contiguous();
  const float* first = values.data_ptr<float>();
  const int64_t count = values.numel(), pieces = (count + kPiece - 1) / kPiece;
  const auto measure = is_largest ? largest_of : p == 2 ? sum_of<true> : sum_of<false>;
  std::vector<double> measures(static_cast<size_t>(pieces));
  share_each(pieces, [&](int64_t piece) {
    const int64_t begin = piece * kPiece;
    measures[static_cast<size_t>(piece)] = measure(first + begin, std::min(kPiece, count - begin));
  });
  double result = 0;
  for (const double each : measures) {
    result = is_largest ? larger(each, result) : result + each;
  }
  return result;
}

/** Of one gradient, in float64. */
double norm_of(const at::Tensor& gradient, double p) {
  const bool is_known = p == 1 || p == 2 || p == std::numeric_limits<double>::infinity();
  if (gradient.scalar_type() != at::kFloat || !is_known) {
    return at::linalg_vector_norm(gradient, p, at::OptionalIntArrayRef(), false, at::kDouble).item<double>();
  }
  const double measure = measure_of(gradient, p);
  return p == 2 ? std::sqrt(measure) : measure;
}

/** A float64 scalar. */
at::Tensor gradient_norm(at::TensorList gradients, double p) {
  const at::Tensor norms = at::empty({static_cast<int64_t>(gradients.size())}, at::kDouble);
  double* each = norms.data_ptr<double>();
  for (const at::Tensor& gradient : gradients) {
    *each++ = norm_of(gradient, p);
  }
  return at::linalg_vector_norm(norms, p);
}

/** A scalar of the gradients' type, which the host has not waited for. */
at::Tensor gradient_norm_by_engine(at::TensorList gradients, double p) {
  return at::linalg_vector_norm(at::stack(at::_foreach_norm(gradients, p)), p);
}

} // namespace
} // namespace goshawk

TORCH_LIBRARY_IMPL(goshawk, CPU, m) {
  m.impl("gradient_norm", TORCH_FN(goshawk::gradient_norm));
}

TORCH_LIBRARY_IMPL(goshawk, CUDA, m) {
  m.impl("gradient_norm", TORCH_FN(goshawk::gradient_norm_by_engine));
}
