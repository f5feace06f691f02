// The assignment of rows to columns of least total cost, exactly: shortest augmenting paths with potentials, for rectangular
// matrices (Crouse, On implementing 2D rectangular assignment algorithms, 2016, after Jonker and Volgenant 1987). Among paths of
// equal length the one that ends soonest is taken, as scipy.optimize.linear_sum_assignment takes it.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/library.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

namespace goshawk {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr int64_t kNone = -1;

/** For each of `few` agents one of `many` tasks, no fewer than these; `cost(agent, task)` is finite. */
class Assignment {
 public:
  Assignment(int64_t few, int64_t many, std::vector<double> costs)
      : few_(few),
        many_(many),
        costs_(std::move(costs)),
        agent_potential_(few, 0),
        task_potential_(many, 0),
        length_(many),
        before_(many),
        unseen_(many),
        agent_of_(many, kNone),
        task_of_(few, kNone),
        agent_is_seen_(few),
        task_is_seen_(many) {
    for (int64_t agent = 0; agent < few_; ++agent) augment(agent);
  }

  const std::vector<int64_t>& task_of() const { return task_of_; }

 private:
  /** Gives `first` a task, by the shortest path over agents that give theirs up for another. */
  void augment(int64_t first) {
    std::fill(agent_is_seen_.begin(), agent_is_seen_.end(), 0);
    std::fill(task_is_seen_.begin(), task_is_seen_.end(), 0);
    std::fill(length_.begin(), length_.end(), kInfinity);
    int64_t count = many_;
    // Backwards, since what is taken out is filled from the end: the first of equals stays in front.
    for (int64_t task = 0; task < many_; ++task) unseen_[task] = many_ - 1 - task;

    double shortest = 0;
    int64_t agent = first;
    int64_t last = kNone;
    while (last == kNone) {
      agent_is_seen_[agent] = 1;
      const double* row = costs_.data() + agent * many_;
      int64_t nearest = kNone;
      double least = kInfinity;
      for (int64_t place = 0; place < count; ++place) {
        const int64_t task = unseen_[place];
        const double reached = shortest + row[task] - agent_potential_[agent] - task_potential_[task];
        if (reached < length_[task]) {
          before_[task] = agent;
          length_[task] = reached;
        }
        if (length_[task] < least || (length_[task] == least && agent_of_[task] == kNone)) {
          least = length_[task];
          nearest = place;
        }
      }
      shortest = least;
      const int64_t task = unseen_[nearest];
      task_is_seen_[task] = 1;
      unseen_[nearest] = unseen_[--count];
      if (agent_of_[task] == kNone) {
        last = task;
      } else {
        agent = agent_of_[task];
      }
    }

    agent_potential_[first] += shortest;
    for (int64_t other = 0; other < few_; ++other)
      if (agent_is_seen_[other] != 0 && other != first) agent_potential_[other] += shortest - length_[task_of_[other]];
    for (int64_t task = 0; task < many_; ++task)
      if (task_is_seen_[task] != 0) task_potential_[task] -= shortest - length_[task];

    for (int64_t task = last;;) {
      const int64_t own = before_[task];
      agent_of_[task] = own;
      std::swap(task, task_of_[own]);
      if (own == first) break;
    }
  }

  int64_t few_, many_;
  std::vector<double> costs_;
  std::vector<double> agent_potential_, task_potential_;
  std::vector<double> length_;
  std::vector<int64_t> before_, unseen_, agent_of_, task_of_;
  std::vector<uint8_t> agent_is_seen_, task_is_seen_;
};

/** `result[column]`: the row of each of `columns`, kNone where rows are too few for it. */
template <typename T>
void assign(const T* costs, int64_t rows, int64_t stride, int64_t columns, int64_t* result) {
  const bool columns_are_few = columns < rows;
  const int64_t few = std::min(rows, columns);
  const int64_t many = std::max(rows, columns);
  std::vector<double> own(static_cast<size_t>(few * many));
  for (int64_t row = 0; row < rows; ++row)
    for (int64_t column = 0; column < columns; ++column)
      own[columns_are_few ? column * many + row : row * many + column] = costs[row * stride + column];
  const Assignment found(few, many, std::move(own));
  if (columns_are_few) {
    std::copy(found.task_of().begin(), found.task_of().end(), result);
  } else {
    for (int64_t row = 0; row < rows; ++row) result[found.task_of()[row]] = row;
  }
}

at::Tensor linear_assignment(const at::Tensor& costs, const at::Tensor& counts) {
  TORCH_CHECK(
      costs.dim() == 3 && at::isFloatingType(costs.scalar_type()), "linear_assignment: costs must be [B, R, C] floating point, got ",
      costs.sizes(), " ", costs.scalar_type());
  const int64_t matrices = costs.size(0);
  const int64_t rows = costs.size(1);
  const int64_t columns = costs.size(2);
  TORCH_CHECK(
      counts.dim() == 1 && counts.size(0) == matrices && counts.scalar_type() == at::kLong,
      "linear_assignment: counts must be [", matrices, "] int64, got ", counts.sizes(), " ", counts.scalar_type());
  const at::Tensor wide = costs.scalar_type() == at::kDouble ? costs.contiguous() : costs.to(at::kFloat).contiguous();
  const at::Tensor lengths = counts.contiguous();
  const int64_t* length = lengths.data_ptr<int64_t>();
  at::Tensor result = at::full({matrices, columns}, kNone, counts.options());
  int64_t* rows_of = result.data_ptr<int64_t>();
  AT_DISPATCH_FLOATING_TYPES(wide.scalar_type(), "linear_assignment", [&] {
    const scalar_t* data = wide.data_ptr<scalar_t>();
    for (int64_t matrix = 0; matrix < matrices; ++matrix) {
      TORCH_CHECK(
          length[matrix] >= 0 && length[matrix] <= columns, "linear_assignment: ", length[matrix], " of ", columns,
          " columns are to be assigned");
      const scalar_t* own = data + matrix * rows * columns;
      for (int64_t row = 0; row < rows; ++row)
        for (int64_t column = 0; column < length[matrix]; ++column)
          TORCH_CHECK(
              std::isfinite(own[row * columns + column]), "linear_assignment: the cost of row ", row, " and column ",
              column, " is ", own[row * columns + column]);
    }
    at::parallel_for(0, matrices, 1, [&](int64_t begin, int64_t end) {
      for (int64_t matrix = begin; matrix < end; ++matrix)
        assign(data + matrix * rows * columns, rows, columns, length[matrix], rows_of + matrix * columns);
    });
  });
  return result;
}

} // namespace
} // namespace goshawk

TORCH_LIBRARY_IMPL(goshawk, CPU, m) {
  m.impl("linear_assignment", TORCH_FN(goshawk::linear_assignment));
}
