#include "nccl.h"

#include <c10/core/DeviceGuard.h>
#include <dlfcn.h>
#include <ifaddrs.h>
#include <netdb.h>

#include <cstdlib>
#include <thread>

#include "device/launch.h"
#include "process-group.h"

namespace goshawk {

namespace {

constexpr std::chrono::microseconds kBetweenQueries{50};

struct UniqueId {
  char bytes[128];
};

// Results other than 0 are errors; 7, of a communicator that is still busy, is none.
constexpr int kInProgress = 7;

struct Nccl {
  using Communicator = void*;
  using Stream = CudaDriver::Stream;

  int (*uniqueId)(UniqueId* id);
  int (*init)(Communicator* communicator, int size, UniqueId id, int rank);
  int (*abort)(Communicator communicator);
  int (*asyncError)(Communicator communicator, int* error);
  const char* (*errorText)(int error);
  int (*allReduce)(const void* send, void* receive, size_t count, int type, int operation, Communicator, Stream);
  int (*broadcast)(const void* send, void* receive, size_t count, int type, int root, Communicator, Stream);
  int (*allGather)(const void* send, void* receive, size_t count, int type, Communicator, Stream);
};

template <typename Function>
void find(void* library, Function*& into, const char* name) {
  into = reinterpret_cast<Function*>(dlsym(library, name));
  if (into == nullptr) throw std::runtime_error(std::string("this libtorch's NCCL has no ") + name);
}

const Nccl& nccl() {
  static const Nccl found = [] {
    // libtorch_cuda.so, loaded for all to see, brings it; where it is a part of that file it may be hidden.
    void* library = dlsym(RTLD_DEFAULT, "ncclAllReduce") != nullptr ? RTLD_DEFAULT : dlopen("libnccl.so.2", RTLD_NOW);
    if (library == nullptr && dlsym(RTLD_DEFAULT, "ncclAllReduce") == nullptr)
      throw std::runtime_error("no NCCL (libnccl.so.2) comes with this libtorch: several cards need it");
    Nccl functions{};
    find(library, functions.uniqueId, "ncclGetUniqueId");
    find(library, functions.init, "ncclCommInitRank");
    find(library, functions.abort, "ncclCommAbort");
    find(library, functions.asyncError, "ncclCommGetAsyncError");
    find(library, functions.errorText, "ncclGetErrorString");
    find(library, functions.allReduce, "ncclAllReduce");
    find(library, functions.broadcast, "ncclBroadcast");
    find(library, functions.allGather, "ncclAllGather");
    return functions;
  }();
  return found;
}

void require(int result, const char* what) {
  if (result != 0) throw std::runtime_error(std::string("NCCL, ") + what + ": " + nccl().errorText(result));
}

void requireDriver(int error, const char* what) {
  if (error != 0) throw std::runtime_error(std::string("the card, ") + what + ": " + driver_error(error));
}

const CudaDriver& driver() {
  const CudaDriver* found = cuda_driver();
  if (found == nullptr) throw std::runtime_error(std::string("the CUDA driver is ") + cuda_driver_state().state);
  return *found;
}

int typeOf(const at::Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case at::kChar:
      return 0;
    case at::kByte:
      return 1;
    case at::kInt:
      return 2;
    case at::kLong:
      return 4;
    case at::kHalf:
      return 6;
    case at::kFloat:
      return 7;
    case at::kDouble:
      return 8;
    case at::kBFloat16:
      return 9;
    default:
      throw std::invalid_argument(c10::str("tensors of ", tensor.scalar_type(), " do not go between cards"));
  }
}

int operationOf(Reduction reduction) {
  switch (reduction) {
    case Reduction::Largest:
      return 2;
    case Reduction::Smallest:
      return 3;
    default:
      return 0;
  }
}

// NCCL's own connections take the first interface that is not the loopback: they shall go where the group's others go.
void chooseInterface(const std::string& address) {
  if (std::getenv("NCCL_SOCKET_IFNAME") != nullptr) return;
  ifaddrs* all = nullptr;
  if (getifaddrs(&all) != 0) return;
  for (const ifaddrs* each = all; each != nullptr; each = each->ifa_next) {
    if (each->ifa_addr == nullptr) continue;
    const int family = each->ifa_addr->sa_family;
    if (family != AF_INET && family != AF_INET6) continue;
    char host[NI_MAXHOST] = "";
    const socklen_t length = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
    getnameinfo(each->ifa_addr, length, host, sizeof host, nullptr, 0, NI_NUMERICHOST);
    // The name alone, and not all that begin with it.
    if (address == host) setenv("NCCL_SOCKET_IFNAME", ("=" + std::string(each->ifa_name)).c_str(), 0);
  }
  freeifaddrs(all);
}

}  // namespace

class NcclWork : public CollectiveWork {
 public:
  NcclWork(NcclGroup& group, at::Tensor tensor, CudaDriver::Event event)
      : group_(group), tensor_(std::move(tensor)), event_(event) {}
  ~NcclWork() override { driver().event_destroy(event_); }

  void wait() override { group_.letWait(event_); }

 private:
  NcclGroup& group_;
  // Not freed before the card's later work knows to wait.
  at::Tensor tensor_;
  CudaDriver::Event event_;
};

NcclGroup::NcclGroup(StoreClient& store, int rank, int size, int device, std::chrono::milliseconds timeout)
    : device_(device), timeout_(timeout) {
  chooseInterface(store.address());
  UniqueId id{};
  if (rank == 0) {
    require(nccl().uniqueId(&id), "its first call");
    store.set("nccl", Bytes(id.bytes, id.bytes + sizeof id.bytes));
  } else {
    const Bytes told = store.get("nccl", timeout);
    std::copy_n(told.begin(), std::min(told.size(), sizeof id.bytes), id.bytes);
  }
  const c10::DeviceGuard guard(c10::Device(at::kCUDA, static_cast<c10::DeviceIndex>(device)));
  device::enter_current_stream(static_cast<c10::DeviceIndex>(device));
  require(nccl().init(&communicator_, size, id, rank), "connecting");
  requireDriver(driver().stream_create(&stream_, kNonBlockingStream), "cuStreamCreate");
  requireDriver(driver().event_create(&before_, kUntimedEvent), "cuEventCreate");
  requireDriver(driver().event_create(&last_, kUntimedEvent), "cuEventCreate");
}

NcclGroup::~NcclGroup() {
  // Not ncclCommDestroy, which waits for the others.
  if (communicator_ != nullptr) nccl().abort(communicator_);
}

// In a stream of its own, so that the card's later work need not wait for it: an event behind it.
template <typename Body>
CudaDriver::Event NcclGroup::queued(const Body& body) {
  if (communicator_ == nullptr) throw std::runtime_error("the group of the cards was ended");
  const auto index = static_cast<c10::DeviceIndex>(device_);
  const c10::DeviceGuard guard(c10::Device(at::kCUDA, index));
  requireDriver(driver().event_record(before_, device::enter_current_stream(index)), "cuEventRecord");
  requireDriver(driver().stream_wait(stream_, before_, 0), "cuStreamWaitEvent");
  body();
  CudaDriver::Event done = nullptr;
  requireDriver(driver().event_create(&done, kUntimedEvent), "cuEventCreate");
  requireDriver(driver().event_record(done, stream_), "cuEventRecord");
  requireDriver(driver().event_record(last_, stream_), "cuEventRecord");
  return done;
}

void NcclGroup::letWait(CudaDriver::Event event) {
  const auto index = static_cast<c10::DeviceIndex>(device_);
  requireDriver(driver().stream_wait(device::enter_current_stream(index), event, 0), "cuStreamWaitEvent");
}

std::unique_ptr<CollectiveWork> NcclGroup::allReduce(const at::Tensor& tensor, Reduction reduction) {
  if (!tensor.is_contiguous()) throw std::invalid_argument("an all-reduce between cards wants its elements in order");
  const CudaDriver::Event done = queued([&] {
    require(nccl().allReduce(tensor.data_ptr(), tensor.data_ptr(), static_cast<size_t>(tensor.numel()), typeOf(tensor),
                             operationOf(reduction), communicator_, stream_),
            "all-reduce");
  });
  return std::make_unique<NcclWork>(*this, tensor, done);
}

void NcclGroup::broadcast(const at::Tensor& tensor, int root) {
  const CudaDriver::Event done = queued([&] {
    require(nccl().broadcast(tensor.data_ptr(), tensor.data_ptr(), static_cast<size_t>(tensor.numel()), typeOf(tensor),
                             root, communicator_, stream_),
            "broadcast");
  });
  NcclWork(*this, tensor, done).wait();
  settle();
}

void NcclGroup::allGather(const at::Tensor& tensor, const at::Tensor& result) {
  const CudaDriver::Event done = queued([&] {
    require(nccl().allGather(tensor.data_ptr(), result.data_ptr(), static_cast<size_t>(tensor.numel()), typeOf(tensor),
                             communicator_, stream_),
            "all-gather");
  });
  NcclWork(*this, result, done).wait();
}

void NcclGroup::settle() {
  if (communicator_ == nullptr) throw std::runtime_error("the group of the cards was ended");
  const Deadline deadline = Clock::now() + timeout_;
  std::string problem;
  for (;;) {
    const int state = driver().event_query(last_);
    if (state == 0) return;
    int error = 0;
    if (state != kNotReady) {
      problem = driver_error(state);
    } else if (nccl().asyncError(communicator_, &error) != 0 || (error != 0 && error != kInProgress)) {
      problem = std::string("NCCL: ") + nccl().errorText(error);
    } else if (Clock::now() >= deadline) {
      problem = "the others did not come";
    }
    if (!problem.empty()) break;
    std::this_thread::sleep_for(kBetweenQueries);
  }
  void* communicator = communicator_;
  communicator_ = nullptr;
  nccl().abort(communicator);
  throw std::runtime_error(problem);
}

}  // namespace goshawk
