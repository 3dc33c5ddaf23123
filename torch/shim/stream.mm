// torch: what PyTorch's own headers (ATen/mps, ATen/native/mps) declare for extensions in Objective-C++, and
// its libraries have on a Mac alone: the stream, the device, libraries of kernels. This object is in the layer
// for each version, which is loaded so that extensions find these names. Of MPSGraph there is nothing.
#include "core.h"

#include <ATen/mps/MPSDevice.h>
#include <ATen/mps/MPSStream.h>
#include <c10/core/Allocator.h>
#include <c10/core/Storage.h>
#include <c10/util/Exception.h>
#include <torch/version.h>

#include <exception>

// An id that the core has as a plain pointer; NULL is its error.
template <class Object> static Object object(void *pointer)
{
    TORCH_CHECK(pointer, abx_torch_error());
    return (Object)pointer;
}

static void check(int result)
{
    TORCH_CHECK(result >= 0, abx_torch_error());
}

namespace at::mps {

// ---- the device

MPSDevice::MPSDevice() : _mtl_device(nil)
{
    check(abx_torch_open());
    _mtl_device = object<MTLDevice_t>(abx_torch_device());
}

MPSDevice::~MPSDevice() = default;

MPSDevice *MPSDevice::getInstance()
{
    static auto *one = new MPSDevice;
    return one;
}

bool MPSDevice::isMacOS13Plus(MacOSVersion version) const
{
    // 15.5 is reported.
#if TORCH_VERSION_MINOR >= 14
    return version < MacOSVersion::MACOS_26_0;
#elif TORCH_VERSION_MINOR >= 11
    return version < MacOSVersion::MACOS_VER_26_0_PLUS;
#else
    return true;
#endif
}

#if TORCH_VERSION_MINOR >= 9
std::string MPSDevice::getName() const
{
    return [[_mtl_device name] UTF8String];
}

unsigned MPSDevice::getCoreCount() const
{
    return 1;
}
#endif

bool is_available()
{
    return abx_torch_open() >= 0;
}

#if TORCH_VERSION_MINOR >= 14
bool is_macos_at_least(MacOSVersion version)
#else
bool is_macos_13_or_newer(MacOSVersion version)
#endif
{
    return MPSDevice::getInstance()->isMacOS13Plus(version);
}

#if TORCH_VERSION_MINOR >= 13
bool is_apple_family_or_newer(AppleGPUFamily family)
{
    return [MPSDevice::getInstance()->device() supportsFamily:static_cast<MTLGPUFamily>(family)];
}
#endif
#if TORCH_VERSION_MINOR >= 14
bool has_mpp()
{
    return false;
}
#endif
#if TORCH_VERSION_MINOR >= 15
MetalLanguageVersion metal_language_version()
{
    return MetalLanguageVersion::METAL_3_2;
}
#endif

#if TORCH_VERSION_MINOR >= 12
at::Allocator *GetMPSAllocator()
#else
at::Allocator *GetMPSAllocator(bool)
#endif
{
    return c10::GetAllocator(c10::kMPS);
}

// ---- the stream: one, whose command buffer is the core's open batch

MPSStream::MPSStream(Stream stream) : _stream(stream)
{
    check(abx_torch_open());
    _commandQueue = object<MTLCommandQueue_t>(abx_torch_command_queue());
    _serialQueue = static_cast<dispatch_queue_t>(abx_torch_dispatch_queue());
}

MPSStream::~MPSStream() = default;

MPSCommandBuffer *MPSStream::commandBuffer()
{
    return object<MPSCommandBuffer *>(abx_torch_lend_command_buffer());
}

MTLComputeCommandEncoder_t MPSStream::commandEncoder()
{
    return object<MTLComputeCommandEncoder_t>(abx_torch_lend_encoder());
}

void MPSStream::endKernelCoalescing()
{
    abx_torch_end_encoder();
}

void MPSStream::synchronize(SyncType type)
{
    if (type == SyncType::COMMIT_AND_WAIT)
        check(abx_torch_wait(UINT64_MAX));
    else if (type != SyncType::NONE)
        abx_torch_commit();
}

// A blit on the stream; the encoder is the caller's to use and not to end.
template <class Encode> static void blit(MPSStream *stream, SyncType type, Encode encode)
{
    @autoreleasepool {
        id<MTLBlitCommandEncoder> encoder = [stream->commandBuffer() blitCommandEncoder];
        encode(encoder);
        [encoder endEncoding];
    }
    stream->synchronize(type);
}

void MPSStream::copy(id<MTLBuffer> from, id<MTLBuffer> to, size_t length, size_t from_offset, size_t to_offset,
    uint64_t, SyncType type)
{
    if (length)
        blit(this, type, [&](id<MTLBlitCommandEncoder> encoder) {
            [encoder copyFromBuffer:from sourceOffset:from_offset toBuffer:to destinationOffset:to_offset size:length];
        });
}

void MPSStream::copy_and_sync(id<MTLBuffer> from, id<MTLBuffer> to, size_t length, size_t from_offset,
    size_t to_offset, bool non_blocking, uint64_t profile)
{
    copy(from, to, length, from_offset, to_offset, profile,
        non_blocking ? SyncType::COMMIT : SyncType::COMMIT_AND_WAIT);
}

#if TORCH_VERSION_MINOR < 12
void MPSStream::fill(id<MTLBuffer> buffer, uint8_t value, size_t length, size_t offset, SyncType type)
{
    if (length)
        blit(this, type, [&](id<MTLBlitCommandEncoder> encoder) {
            [encoder fillBuffer:buffer range:NSMakeRange(offset, length) value:value];
        });
}
#endif

#if TORCH_VERSION_MINOR >= 7
MTLDevice_t MPSStream::device() const
{
    return [_commandQueue device];
}
#endif

#if TORCH_VERSION_MINOR >= 10
// Where PyTorch's own kernels say what went wrong: ours have no errors to say.
MTLBuffer_t MPSStream::getErrorBuffer()
{
    if (!_errorBuffer)
        _errorBuffer = [device() newBufferWithLength:4096 options:MTLResourceStorageModeShared];
    return _errorBuffer;
}

void MPSStream::checkLastError() {}
#endif

void MPSStream::addCompletedHandler(MTLCommandBufferHandler block)
{
    [commandBuffer() addCompletedHandler:block];
}

MPSStream *getDefaultMPSStream()
{
    static auto *one = new MPSStream(Stream(Stream::DEFAULT, Device(c10::kMPS, 0)));
    return one;
}

MPSStream *getCurrentMPSStream()
{
    return getDefaultMPSStream();
}

MPSStream *MPSStreamImpl::getInstance()
{
    return getDefaultMPSStream();
}

#if TORCH_VERSION_MINOR < 10
} // namespace at::mps
namespace at::native::mps {
#endif
// An exception leaves by the caller's stack, and not through the queue.
__attribute__((visibility("default"))) void dispatch_sync_with_rethrow(dispatch_queue_t queue, void (^block)())
{
    __block std::exception_ptr thrown;
    dispatch_sync(queue, ^{
        try {
            block();
        } catch (...) {
            thrown = std::current_exception();
        }
    });
    if (thrown)
        std::rethrow_exception(thrown);
}
}
