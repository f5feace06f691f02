#include "process-group.h"

// The engine's libraries have it on every system that they are made for here; its header asks.
#ifndef USE_C10D_GLOO
#define USE_C10D_GLOO
#endif
#include "gloo-names/gloo/algorithm.h"
#include "gloo-names/gloo/common/error.h"
#include "gloo-names/gloo/context.h"
#include "gloo-names/gloo/rendezvous/store.h"
#include "gloo-names/gloo/transport/device.h"

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/version.h>

#include <unistd.h>

#include <algorithm>
#include <sstream>
#include <thread>

#include "nccl.h"

namespace goshawk {

namespace {

constexpr int kGlooThreads = 2;
// After a failure the others' words are waited for so long; those that end say nothing and are noticed at once.
constexpr std::chrono::milliseconds kLastWords{2000};
constexpr std::chrono::milliseconds kBetweenLooks{20};
constexpr std::chrono::milliseconds kForDescriptions{5000};
constexpr double kMillisecond = 1e-3;
// Of the time limit: timers are not exact.
constexpr double kNearlyAll = 0.9;
// Of so many ranks a message says where they are.
constexpr size_t kMostPlaces = 4;

std::string seconds(double milliseconds) {
  std::ostringstream text;
  text.precision(3);
  text << milliseconds * kMillisecond << " s";
  return text.str();
}

double since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

std::string thisProcess() {
  char host[256] = "";
  gethostname(host, sizeof host - 1);
  return "process " + std::to_string(getpid()) + " on " + host;
}

Bytes bytesOf(const std::string& text) { return Bytes(text.begin(), text.end()); }

std::string described(const at::Tensor& tensor) { return c10::str(tensor.scalar_type(), " ", tensor.sizes()); }

// FNV-1a: all that is needed is that different texts differ.
int64_t hashOf(const std::string& text) {
  uint64_t hash = 14695981039346656037u;
  for (const char letter : text) hash = (hash ^ static_cast<uint8_t>(letter)) * 1099511628211u;
  return static_cast<int64_t>(hash);
}

c10d::ReduceOp reduceOp(Reduction reduction) {
  switch (reduction) {
    case Reduction::Largest:
      return c10d::ReduceOp::MAX;
    case Reduction::Smallest:
      return c10d::ReduceOp::MIN;
    default:
      return c10d::ReduceOp::SUM;
  }
}

// The elements in C order, as a dtype that Gloo knows: strides need not be the same everywhere.
at::Tensor sendable(const at::Tensor& tensor) {
  const at::Tensor plain = tensor.detach().contiguous();
  return plain.scalar_type() == at::kBool ? plain.view(at::kByte) : plain;
}

void takeBack(const at::Tensor& tensor, const at::Tensor& sent) {
  const at::Tensor result = tensor.scalar_type() == at::kBool ? sent.view(at::kBool) : sent;
  if (!result.is_same(tensor) && result.data_ptr() != tensor.data_ptr()) tensor.detach().copy_(result);
}

}  // namespace

class ProcessGroup::GlooWork : public CollectiveWork {
 public:
  GlooWork(
      ProcessGroup& group, c10::intrusive_ptr<c10d::Work> work, std::string what, at::Tensor target, at::Tensor sent)
      : group_(group), work_(std::move(work)), what_(std::move(what)), target_(std::move(target)), sent_(std::move(sent)) {}

  void wait() override {
    group_.waitFor(*work_, what_);
    takeBack(target_, sent_);
  }

 private:
  ProcessGroup& group_;
  c10::intrusive_ptr<c10d::Work> work_;
  std::string what_;
  at::Tensor target_;
  at::Tensor sent_;
};

ProcessGroup::ProcessGroup(const GroupOptions& options) : options_(options) {
  const auto start = Clock::now();
  const Introduction introduction{
      options.size,
      // Engines of different versions do not understand one another's groups, and a card is no partner of a processor.
      c10::str(
          options.size, " processes by libtorch ", TORCH_VERSION_MAJOR, ".", TORCH_VERSION_MINOR, ".", TORCH_VERSION_PATCH,
          options.device < 0 ? " on processors" : " on cards"),
      thisProcess()};
  try {
    store_ = c10::make_intrusive<StoreClient>(options.store, options.rank, introduction, options.timeout);
    meet(introduction.place, start);
  } catch (const RefusedError& error) {
    throw GroupError(error.what(), {});
  } catch (const RanksGoneError& error) {
    throw GroupError(namesOf(error.ranks) + " ended before the others", error.ranks);
  } catch (const ConnectionError& error) {
    throw GroupError("rank " + std::to_string(options.rank) + " cannot reach rank 0: " + error.what() + " (tried for " +
                         seconds(since(start)) + ")",
                     {0});
  }
  try {
    auto settings = c10d::ProcessGroupGloo::Options::create(options.timeout);
    const std::string address = options.address.empty() ? store_->address() : options.address;
    settings->devices.push_back(c10d::ProcessGroupGloo::createDeviceForHostname(address));
    settings->threads = kGlooThreads;
    gloo_ = c10::make_intrusive<c10d::ProcessGroupGloo>(
        c10::make_intrusive<c10d::PrefixStore>("gloo", store_), options.rank, options.size, settings);
    if (options.device >= 0)
      nccl_ = std::make_unique<NcclGroup>(*store_, options.rank, options.size, options.device, options.timeout);
  } catch (const GroupError&) {
    throw;
  } catch (const std::exception& error) {
    fail("connecting", error.what(), start);
  }
}

ProcessGroup::~ProcessGroup() = default;

void ProcessGroup::meet(const std::string& ownPlace, Clock::time_point start) {
  store_->set("here/" + std::to_string(options_.rank), bytesOf(ownPlace));
  std::vector<int64_t> missing;
  for (int64_t other = 0; other < options_.size; ++other) {
    const auto left = std::chrono::milliseconds(untilDeadline(start + options_.timeout));
    try {
      const Bytes said = store_->get("here/" + std::to_string(other), left);
      places_[other] = std::string(said.begin(), said.end());
    } catch (const LateError&) {
      missing.push_back(other);
    }
  }
  if (missing.empty()) return;
  const StorePlace& where = options_.store;
  const std::string address = store_->address();
  // A machine's own name may lead it to an address that only it has.
  const std::string hint =
      isLoopback(address) && address != where.host ? " (here " + address + ", which no other machine reaches)" : "";
  const std::string problem =
      rankNames(missing) + " did not come within " + seconds(since(start)) + " to " + place(where.host, where.port) + hint;
  try {
    // Else those that wait somewhat longer would be told of this process's end alone.
    store_->refuse(problem);
  } catch (const std::exception&) {
    // What is known is thrown.
  }
  throw GroupError(problem, missing);
}

std::string ProcessGroup::namesOf(const std::vector<int64_t>& ranks) const {
  std::string text;
  for (const int64_t rank : ranks) {
    const auto known = places_.find(rank);
    if (known == places_.end() || ranks.size() > kMostPlaces) return rankNames(ranks);
    text += (text.empty() ? "rank " : ", rank ") + std::to_string(rank) + " (" + known->second + ")";
  }
  return text;
}

void ProcessGroup::leave() { store_->goodbye(); }

void ProcessGroup::settle() {
  if (nccl_) timed("work of the cards", [&] { nccl_->settle(); });
}

template <typename Body>
void ProcessGroup::timed(const std::string& what, const Body& body) {
  const auto start = Clock::now();
  try {
    body();
  } catch (const GroupError&) {
    throw;
  } catch (const std::exception& error) {
    fail(what, error.what(), start);
  }
  waited_ += since(start);
}

void ProcessGroup::waitFor(c10d::Work& work, const std::string& what) {
  timed(what, [&] { work.wait(); });
}

void ProcessGroup::fail(const std::string& what, const std::string& problem, Clock::time_point start) {
  const double waited = since(start);
  const std::string prefix = "failed/" + std::to_string(sequence_) + "/";
  std::vector<int64_t> gone, silent;
  store_->hurry();
  try {
    store_->set(prefix + std::to_string(options_.rank), bytesOf(what));
    const Deadline deadline = Clock::now() + kLastWords;
    for (;;) {
      silent.clear();
      const std::vector<int64_t> left = store_->gone();
      for (int64_t other = 0; other < options_.size; ++other) {
        if (store_->check({prefix + std::to_string(other)})) continue;
        const bool isGone = std::find(left.begin(), left.end(), other) != left.end();
        if (isGone && std::find(gone.begin(), gone.end(), other) == gone.end()) gone.push_back(other);
        if (!isGone) silent.push_back(other);
      }
      if (!gone.empty() || silent.empty() || Clock::now() >= deadline) break;
      std::this_thread::sleep_for(kBetweenLooks);
    }
  } catch (const std::exception& error) {
    throw GroupError(what + ": " + namesOf({0}) + ", which keeps the store, does not answer after " + seconds(waited) + " (" +
                         error.what() + ")",
                     {0});
  }
  if (!gone.empty()) throw GroupError(what + ": " + namesOf(gone) + " ended before the others", gone);
  // What fails sooner is this process's own: that the others have not met it accuses nobody.
  const bool isOver = problem.find("imed out") != std::string::npos || problem.find("imeout") != std::string::npos ||
                      waited >= kNearlyAll * static_cast<double>(options_.timeout.count());
  if (!silent.empty() && isOver)
    throw GroupError(what + ": " + namesOf(silent) + " did not come to it within " + seconds(waited), silent);
  throw GroupError(what + ": " + problem + " (after " + seconds(waited) + ")", {});
}

void ProcessGroup::agree(const std::string& text) { check(text, true); }

void ProcessGroup::check(const std::string& call, bool always) {
  ++sequence_;
  if (!always && !known_.insert(call).second) return;
  const std::string numbered = "call " + std::to_string(sequence_) + ", " + call;
  std::vector<at::Tensor> own{at::empty({1}, at::kLong)};
  own[0].fill_(hashOf(numbered));
  std::vector<std::vector<at::Tensor>> all(1);
  for (int i = 0; i < options_.size; ++i) all[0].push_back(at::empty({1}, at::kLong));
  const auto work = gloo_->allgather(all, own);
  waitFor(*work, call);
  const auto hash = [](const at::Tensor& one) { return *one.data_ptr<int64_t>(); };
  std::vector<int64_t> others;
  for (int i = 0; i < options_.size; ++i)
    if (hash(all[0][static_cast<size_t>(i)]) != hash(own[0])) others.push_back(i);
  if (others.empty()) return;
  const std::string prefix = "call/" + std::to_string(sequence_) + "/";
  store_->set(prefix + std::to_string(options_.rank), bytesOf(call));
  std::string theirs = "something else";
  try {
    const Bytes said = store_->get(prefix + std::to_string(others[0]), kForDescriptions);
    theirs.assign(said.begin(), said.end());
  } catch (const std::exception&) {
    // What they say would only have made the message clearer.
  }
  throw GroupError("rank " + std::to_string(options_.rank) + " comes to " + call + ", rank " + std::to_string(others[0]) +
                       " to " + theirs + ": all must do the same",
                   others);
}

NcclGroup* ProcessGroup::groupFor(const at::Tensor& tensor, const char* what) {
  if (tensor.device().is_cpu()) return nullptr;
  if (!nccl_)
    throw GroupError(std::string(what) + ": the tensor is on " + tensor.device().str() + ", the group was opened without a card", {});
  return nccl_.get();
}

void ProcessGroup::broadcast(const at::Tensor& tensor, int root) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const std::string what = c10::str("broadcast from rank ", root, " of ", described(tensor));
  NcclGroup* cards = groupFor(tensor, "broadcast");
  check(what, cards == nullptr);
  bytes_ += static_cast<double>(tensor.nbytes());
  const at::Tensor sent = sendable(tensor);
  if (cards != nullptr) {
    timed(what, [&] { cards->broadcast(sent, root); });
  } else {
    std::vector<at::Tensor> tensors{sent};
    c10d::BroadcastOptions options;
    options.rootRank = root;
    const auto work = gloo_->broadcast(tensors, options);
    waitFor(*work, what);
  }
  takeBack(tensor, sent);
}

std::unique_ptr<CollectiveWork> ProcessGroup::allReduce(
    const at::Tensor& tensor, Reduction reduction, const std::string& name) {
  const std::lock_guard<std::mutex> lock(mutex_);
  static constexpr const char* kNames[] = {"sum", "maximum", "minimum"};
  const std::string what =
      c10::str("the ", kNames[static_cast<int>(reduction)], " of ", name.empty() ? "" : name + ", ", described(tensor));
  NcclGroup* cards = groupFor(tensor, "all-reduce");
  check(what, cards == nullptr);
  bytes_ += static_cast<double>(tensor.nbytes());
  if (cards != nullptr) return cards->allReduce(tensor, reduction);
  const at::Tensor sent = sendable(tensor);
  std::vector<at::Tensor> tensors{sent};
  c10d::AllreduceOptions options;
  options.reduceOp = reduceOp(reduction);
  return std::make_unique<GlooWork>(*this, gloo_->allreduce(tensors, options), what, tensor, sent);
}

at::Tensor ProcessGroup::allGather(const at::Tensor& tensor) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const std::string what = c10::str("the gathering of ", described(tensor));
  NcclGroup* cards = groupFor(tensor, "all-gather");
  check(what, cards == nullptr);
  bytes_ += static_cast<double>(tensor.nbytes());
  const at::Tensor sent = sendable(tensor);
  std::vector<int64_t> shape{options_.size};
  shape.insert(shape.end(), sent.sizes().begin(), sent.sizes().end());
  at::Tensor result = at::empty(shape, sent.options());
  if (cards != nullptr) {
    timed(what, [&] { cards->allGather(sent, result); });
  } else {
    std::vector<std::vector<at::Tensor>> outputs{result.unbind(0)};
    std::vector<at::Tensor> inputs{sent};
    const auto work = gloo_->allgather(outputs, inputs);
    waitFor(*work, what);
  }
  return tensor.scalar_type() == at::kBool ? result.view(at::kBool) : result;
}

void ProcessGroup::barrier() {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto start = Clock::now();
  const std::string prefix = "barrier/" + std::to_string(++barriers_) + "/";
  try {
    store_->set(prefix + std::to_string(options_.rank), {});
    std::vector<int64_t> missing;
    for (int64_t other = 0; other < options_.size; ++other) {
      try {
        store_->wait({prefix + std::to_string(other)}, std::chrono::milliseconds(untilDeadline(start + options_.timeout)));
      } catch (const LateError&) {
        missing.push_back(other);
      }
    }
    if (!missing.empty())
      throw GroupError("barrier: " + namesOf(missing) + " did not come to it within " + seconds(since(start)), missing);
    // Whoever is here has left the one before the last.
    if (options_.rank == 0 && barriers_ > 2)
      for (int64_t other = 0; other < options_.size; ++other)
        store_->deleteKey("barrier/" + std::to_string(barriers_ - 2) + "/" + std::to_string(other));
  } catch (const RanksGoneError& error) {
    throw GroupError("barrier: " + namesOf(error.ranks) + " ended before the others", error.ranks);
  } catch (const ConnectionError& error) {
    throw GroupError("barrier: " + namesOf({0}) + ", which keeps the store, does not answer (" + std::string(error.what()) + ")", {0});
  }
  waited_ += since(start);
}

namespace {

struct GroupTable {
  std::mutex mutex;
  std::vector<std::unique_ptr<ProcessGroup>> groups;
};

GroupTable& groupTable() {
  static auto* table = new GroupTable();
  return *table;
}

}  // namespace

int64_t keepGroup(std::unique_ptr<ProcessGroup> group) {
  GroupTable& table = groupTable();
  const std::lock_guard<std::mutex> lock(table.mutex);
  table.groups.push_back(std::move(group));
  return static_cast<int64_t>(table.groups.size()) - 1;
}

ProcessGroup& groupOf(int64_t number) {
  GroupTable& table = groupTable();
  const std::lock_guard<std::mutex> lock(table.mutex);
  if (number < 0 || number >= static_cast<int64_t>(table.groups.size()) || !table.groups[static_cast<size_t>(number)])
    throw std::invalid_argument("the process group is closed");
  return *table.groups[static_cast<size_t>(number)];
}

void closeGroup(int64_t number) {
  groupOf(number).leave();
  GroupTable& table = groupTable();
  std::unique_ptr<ProcessGroup> closing;
  const std::lock_guard<std::mutex> lock(table.mutex);
  closing = std::move(table.groups[static_cast<size_t>(number)]);
}

}  // namespace goshawk
