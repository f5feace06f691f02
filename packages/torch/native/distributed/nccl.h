// NCCL, NVIDIA's collectives between cards, by the few functions of its C interface that are needed here. It is found at run time in
// what libtorch brings: the addon is compiled without its headers, and runs where it is not installed. The engine's own group of
// cards is a class whose size and layout only those headers tell.
#pragma once
#include <ATen/ATen.h>

#include <memory>

#include "device/driver.h"
#include "store-client.h"

namespace goshawk {

enum class Reduction : uint8_t;
class CollectiveWork;

// The tensors lie on the group's card, their elements in C order. Each call is queued behind the card's work so far; the host
// does not wait, but in settle().
class NcclGroup {
 public:
  NcclGroup(StoreClient& store, int rank, int size, int device, std::chrono::milliseconds timeout);
  ~NcclGroup();

  void broadcast(const at::Tensor& tensor, int root);
  void allGather(const at::Tensor& tensor, const at::Tensor& result);
  // wait() makes the card's later work wait for it, not the host.
  std::unique_ptr<CollectiveWork> allReduce(const at::Tensor& tensor, Reduction reduction);
  // Throws where what was begun is not done within the group's time, or cannot be: it is ended then, since a card would wait for
  // ever for one that is gone.
  void settle();

 private:
  friend class NcclWork;
  template <typename Body>
  CudaDriver::Event queued(const Body& body);
  void letWait(CudaDriver::Event event);

  const int device_;
  const std::chrono::milliseconds timeout_;
  void* communicator_ = nullptr;
  CudaDriver::Stream stream_ = nullptr;
  CudaDriver::Event before_ = nullptr;
  // Behind the newest collective.
  CudaDriver::Event last_ = nullptr;
};

}  // namespace goshawk
