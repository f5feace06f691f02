// TCP with deadlines: what the two ends of the store need of it.
#pragma once
#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace goshawk {

using Clock = std::chrono::steady_clock;
using Deadline = Clock::time_point;
using Bytes = std::vector<uint8_t>;

// The other end is not there, went away, or did not answer in time.
struct ConnectionError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// It hung up.
struct ClosedError : ConnectionError {
  using ConnectionError::ConnectionError;
};

// Closes what it holds.
class Socket {
 public:
  explicit Socket(int descriptor = -1) : descriptor_(descriptor) {}
  ~Socket();
  Socket(Socket&& other) noexcept : descriptor_(other.descriptor_) { other.descriptor_ = -1; }
  Socket& operator=(Socket&& other) noexcept;
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  int get() const { return descriptor_; }

 private:
  int descriptor_;
};

// Milliseconds from now on, at least 0, as poll() takes them.
int untilDeadline(Deadline deadline);

// Listens on the one address that `host` stands for and on no other; port 0 lets the system choose.
Socket listenOn(const std::string& host, uint16_t port);

// Tries again until the deadline while nobody listens there, or the name leads nowhere.
Socket connectTo(const std::string& host, uint16_t port, Deadline deadline);

// One of those that wait at `listener`, which does not block; none with errno where there is none.
Socket acceptFrom(const Socket& listener);

uint16_t portOf(const Socket& socket);
// The address of this end, in digits.
std::string ownAddress(const Socket& socket);
// Whether no other machine reaches an address in digits.
bool isLoopback(const std::string& address);

// As send(): so many of the bytes as go without waiting, -1 with errno, and no signal where the other end is gone.
ssize_t sendSome(const Socket& socket, const uint8_t* bytes, size_t length);

// Not a moment later than the deadline.
void sendAll(const Socket& socket, const Bytes& bytes, Deadline deadline);
Bytes receiveAll(const Socket& socket, size_t length, Deadline deadline);

// "127.0.0.1:29500", "[::1]:29500"
std::string place(const std::string& host, uint16_t port);

}  // namespace goshawk
