#include "sockets.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <future>
#include <memory>
#include <thread>

namespace goshawk {

namespace {

constexpr int kWaitingConnections = 1024;
constexpr std::chrono::milliseconds kBetweenTries{100};
// One try, where packets vanish: a machine that is switched on later has to be found then.
constexpr std::chrono::milliseconds kOneTry{5000};

using Addresses = std::unique_ptr<addrinfo, void (*)(addrinfo*)>;

Addresses resolve(const std::string& host, uint16_t port, int flags) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (error != 0) throw ConnectionError("the name " + host + " leads to no address: " + gai_strerror(error));
  return {found, freeaddrinfo};
}

// The system's resolver has its own patience, of half a minute where no name server answers: beyond the deadline it is left to itself.
Addresses resolveBefore(const std::string& host, uint16_t port, Deadline deadline) {
  const auto lookup = std::make_shared<std::packaged_task<Addresses()>>([=] { return resolve(host, port, 0); });
  std::future<Addresses> found = lookup->get_future();
  std::thread([lookup] { (*lookup)(); }).detach();
  if (found.wait_until(deadline) != std::future_status::ready)
    throw ConnectionError("the name " + host + " leads to no address in time");
  return found.get();
}

std::string inDigits(const sockaddr* address, socklen_t length) {
  char host[NI_MAXHOST] = "";
  getnameinfo(address, length, host, sizeof host, nullptr, 0, NI_NUMERICHOST);
  return host;
}

// What a person can do about an address that cannot be listened on.
const char* adviceFor(int error) {
  switch (error) {
    case EADDRNOTAVAIL:
      return ": it is no address of this machine: name one of the machine of rank 0";
    case EADDRINUSE:
      return ": another program or another run has it: choose another port";
    case EACCES:
      return ": choose a port above 1023";
    default:
      return "";
  }
}

void setOption(const Socket& socket, int level, int option) {
  const int on = 1;
  setsockopt(socket.get(), level, option, &on, sizeof on);
}

void setBlocking(const Socket& socket, bool blocking) {
  const int flags = fcntl(socket.get(), F_GETFL, 0);
  fcntl(socket.get(), F_SETFL, blocking ? flags & ~O_NONBLOCK : flags | O_NONBLOCK);
}

// Children do not inherit it, and writing to an end that is gone is an error and no signal. Linux is told so as it makes the
// descriptor, macOS afterwards.
#ifdef SOCK_CLOEXEC
Socket newSocket(const addrinfo& address) {
  return Socket(::socket(address.ai_family, address.ai_socktype | SOCK_CLOEXEC, address.ai_protocol));
}
#else
Socket prepared(int descriptor) {
  Socket socket(descriptor);
  if (descriptor >= 0) {
    fcntl(descriptor, F_SETFD, FD_CLOEXEC);
    setOption(socket, SOL_SOCKET, SO_NOSIGPIPE);
  }
  return socket;
}

Socket newSocket(const addrinfo& address) {
  return prepared(::socket(address.ai_family, address.ai_socktype, address.ai_protocol));
}
#endif

// Whether the descriptor is ready for these events before the deadline.
bool isReady(const Socket& socket, short events, Deadline deadline) {
  for (;;) {
    pollfd entry{socket.get(), events, 0};
    const int count = poll(&entry, 1, untilDeadline(deadline));
    if (count > 0) return true;
    if (count == 0) return false;
    if (errno != EINTR) throw ConnectionError(std::strerror(errno));
  }
}

// 0, or the error of this try.
int tryAddress(const addrinfo& address, Deadline deadline, Socket& into) {
  Socket socket = newSocket(address);
  if (socket.get() < 0) return errno;
  setBlocking(socket, false);
  if (connect(socket.get(), address.ai_addr, address.ai_addrlen) != 0) {
    if (errno != EINPROGRESS) return errno;
    if (!isReady(socket, POLLOUT, std::min(deadline, Clock::now() + kOneTry))) return ETIMEDOUT;
    int error = 0;
    socklen_t length = sizeof error;
    getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &length);
    if (error != 0) return error;
  }
  setOption(socket, IPPROTO_TCP, TCP_NODELAY);
  setOption(socket, SOL_SOCKET, SO_KEEPALIVE);
  into = std::move(socket);
  return 0;
}

}  // namespace

Socket::~Socket() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Socket& Socket::operator=(Socket&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

int untilDeadline(Deadline deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
  return static_cast<int>(std::clamp<int64_t>(left, 0, 1 << 30));
}

Socket listenOn(const std::string& host, uint16_t port) {
  const Addresses addresses = resolve(host, port, AI_PASSIVE);
  const addrinfo& address = *addresses;
  Socket socket = newSocket(address);
  if (socket.get() < 0) throw ConnectionError(std::strerror(errno));
  setBlocking(socket, false);
  setOption(socket, SOL_SOCKET, SO_REUSEADDR);
  if (bind(socket.get(), address.ai_addr, address.ai_addrlen) != 0 || listen(socket.get(), kWaitingConnections) != 0)
    throw ConnectionError("cannot listen on " + place(host, port) + ": " + std::strerror(errno) + adviceFor(errno));
  return socket;
}

Socket connectTo(const std::string& host, uint16_t port, Deadline deadline) {
  std::string problem;
  do {
    try {
      const Addresses addresses = resolveBefore(host, port, deadline);
      for (const addrinfo* address = addresses.get(); address != nullptr; address = address->ai_next) {
        Socket socket;
        const int error = tryAddress(*address, deadline, socket);
        if (error == 0) return socket;
        const std::string digits = inDigits(address->ai_addr, address->ai_addrlen);
        problem = (digits == host ? "" : "at " + digits + ": ") + std::strerror(error);
      }
    } catch (const ConnectionError& error) {
      problem = error.what();
    }
    std::this_thread::sleep_for(kBetweenTries);
  } while (Clock::now() < deadline);
  throw ConnectionError("no connection to " + place(host, port) + ": " + problem);
}

Socket acceptFrom(const Socket& listener) {
#ifdef SOCK_CLOEXEC
  return Socket(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
#else
  Socket socket = prepared(::accept(listener.get(), nullptr, nullptr));
  if (socket.get() >= 0) setBlocking(socket, false);
  return socket;
#endif
}

std::string place(const std::string& host, uint16_t port) {
  const bool isSixth = host.find(':') != std::string::npos;
  return (isSixth ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

uint16_t portOf(const Socket& socket) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &length);
  return ntohs(
      address.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6&>(address).sin6_port
                                    : reinterpret_cast<const sockaddr_in&>(address).sin_port);
}

std::string ownAddress(const Socket& socket) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &length);
  return inDigits(reinterpret_cast<sockaddr*>(&address), length);
}

bool isLoopback(const std::string& address) { return address.rfind("127.", 0) == 0 || address == "::1"; }

ssize_t sendSome(const Socket& socket, const uint8_t* bytes, size_t length) {
#ifdef MSG_NOSIGNAL
  return ::send(socket.get(), bytes, length, MSG_NOSIGNAL);
#else
  return ::send(socket.get(), bytes, length, 0);
#endif
}

void sendAll(const Socket& socket, const Bytes& bytes, Deadline deadline) {
  size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t count = sendSome(socket, bytes.data() + sent, bytes.size() - sent);
    if (count >= 0) {
      sent += static_cast<size_t>(count);
    } else if (errno == EAGAIN) {
      if (!isReady(socket, POLLOUT, deadline)) throw ConnectionError("no answer");
    } else if (errno != EINTR) {
      throw ConnectionError(std::strerror(errno));
    }
  }
}

Bytes receiveAll(const Socket& socket, size_t length, Deadline deadline) {
  Bytes bytes(length);
  size_t received = 0;
  while (received < length) {
    const ssize_t count = ::recv(socket.get(), bytes.data() + received, length - received, 0);
    if (count > 0) {
      received += static_cast<size_t>(count);
    } else if (count == 0) {
      throw ClosedError("the connection was closed");
    } else if (errno == EAGAIN) {
      if (!isReady(socket, POLLIN, deadline)) throw ConnectionError("no answer");
    } else if (errno == ECONNRESET) {
      throw ClosedError(std::strerror(errno));
    } else if (errno != EINTR) {
      throw ConnectionError(std::strerror(errno));
    }
  }
  return bytes;
}

}  // namespace goshawk
