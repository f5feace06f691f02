// Processes that compute together, and what they do in common: the engine's Gloo group between tensors of processors, NCCL between
// those of cards.
#pragma once
#include <ATen/ATen.h>

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_set>
#include <vector>

#include "group-error.h"
#include "store-client.h"

namespace c10d {
class ProcessGroupGloo;
class Work;
}  // namespace c10d

namespace goshawk {

class NcclGroup;

enum class Reduction : uint8_t { Sum, Largest, Smallest };

// A collective that was begun: wait() before its tensor is read.
class CollectiveWork {
 public:
  virtual ~CollectiveWork() = default;
  virtual void wait() = 0;
};

struct GroupOptions {
  int rank;
  int size;
  StorePlace store;
  // How long one of them waits for the others before it gives up.
  std::chrono::milliseconds timeout;
  // Where the others reach this process; empty: as it reaches the store.
  std::string address;
  // The card of this process; -1 without one.
  int device;
};

// Every process calls the same collectives in the same order. What differs is an error that names both calls, where Gloo would end
// the process. Calls may come from any thread, one at a time; none of them speaks with JavaScript.
class ProcessGroup {
 public:
  // Waits for all others.
  explicit ProcessGroup(const GroupOptions& options);
  ~ProcessGroup();

  int rank() const { return options_.rank; }
  int size() const { return options_.size; }
  StoreClient& store() { return *store_; }

  // In place.
  void broadcast(const at::Tensor& tensor, int root);
  // In place, once its work was waited for. `what` names the tensor in errors.
  std::unique_ptr<CollectiveWork> allReduce(const at::Tensor& tensor, Reduction reduction, const std::string& what);
  // [size, ...]: every process's tensor of this one's shape.
  at::Tensor allGather(const at::Tensor& tensor);
  // Returns when all have come to it. By the store, so that it knows who is missing.
  void barrier();

  // Where cards compute, the host goes on before a collective is done: this waits until all that were begun are, as long as the
  // group waits, so that nothing is read that would never come. Nothing to do between processors.
  void settle();

  // Throws GroupError where the others do not say the same text.
  void agree(const std::string& text);
  // From now on it may end without the others taking that for a failure.
  void leave();

  double waitedMilliseconds() const { return waited_; }
  double sentBytes() const { return bytes_; }

 private:
  class GlooWork;
  // Waits until all are there, and learns where.
  void meet(const std::string& ownPlace, std::chrono::steady_clock::time_point start);
  // "rank 1 (process 4711 on node-3)", where that is known and they are few.
  std::string namesOf(const std::vector<int64_t>& ranks) const;
  // The rank of the failure that `problem` tells of is found out from what the others say to the store.
  [[noreturn]] void fail(const std::string& what, const std::string& problem, Clock::time_point since);
  void check(const std::string& call, bool always);
  void waitFor(c10d::Work& work, const std::string& what);
  template <typename Body>
  void timed(const std::string& what, const Body& body);
  NcclGroup* groupFor(const at::Tensor& tensor, const char* what);

  const GroupOptions options_;
  c10::intrusive_ptr<StoreClient> store_;
  c10::intrusive_ptr<c10d::ProcessGroupGloo> gloo_;
  std::unique_ptr<NcclGroup> nccl_;
  std::mutex mutex_;
  // Collectives so far.
  int64_t sequence_ = 0;
  int64_t barriers_ = 0;
  std::unordered_set<std::string> known_;
  // Which process each rank is, in words.
  std::map<int64_t, std::string> places_;
  double waited_ = 0;
  double bytes_ = 0;
};

// Groups by the numbers that JavaScript and operators know them by. They live until they are closed: a process that ends with an open
// one does not wait for the others.
int64_t keepGroup(std::unique_ptr<ProcessGroup> group);
ProcessGroup& groupOf(int64_t number);
void closeGroup(int64_t number);

}  // namespace goshawk
