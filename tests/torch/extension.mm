// What PyTorch's users write for a Mac: operators in Objective-C++, with kernels of their own, that encode into
// PyTorch's command buffer (torch/mps.h), or through its stream (ATen/mps/MPSStream.h). extension.py calls them.
#include <ATen/mps/MPSDevice.h>
#include <ATen/mps/MPSStream.h>
#include <ATen/native/mps/OperationUtils.h>
#include <ATen/ops/add.h>
#include <torch/library.h>
#include <torch/mps.h>

#import <Foundation/Foundation.h>
#import <Metal/Metal.h>

using namespace at::mps; // dispatch_sync_with_rethrow() is in either
using namespace at::native::mps;

static const char source[] = R"(
#include <metal_stdlib>
using namespace metal;
kernel void scale(device const float *from [[buffer(0)]], device float *to [[buffer(1)]],
    constant float &factor [[buffer(2)]], uint i [[thread_position_in_grid]]) { to[i] = from[i] * factor; }
)";

static id<MTLComputePipelineState> pipeline()
{
    static id<MTLComputePipelineState> made = [] {
        NSError *error = nil;
        id<MTLDevice> device = at::mps::MPSDevice::getInstance()->device();
        id<MTLLibrary> library = [device newLibraryWithSource:@(source) options:nil error:&error];
        TORCH_CHECK(library, error.localizedDescription.UTF8String);
        return [device newComputePipelineStateWithFunction:[library newFunctionWithName:@"scale"] error:&error];
    }();
    return made;
}

static void encode(id<MTLComputeCommandEncoder> encoder, const at::Tensor &from, const at::Tensor &to, float factor)
{
    [encoder setComputePipelineState:pipeline()];
    [encoder setBuffer:__builtin_bit_cast(id<MTLBuffer>, from.storage().data())
                offset:from.storage_offset() * from.element_size() atIndex:0];
    [encoder setBuffer:at::native::mps::getMTLBufferStorage(to) offset:to.storage_offset() * to.element_size() atIndex:1];
    [encoder setBytes:&factor length:sizeof factor atIndex:2];
    [encoder dispatchThreads:MTLSizeMake(from.numel(), 1, 1) threadsPerThreadgroup:MTLSizeMake(32, 1, 1)];
}

static at::Tensor scale(const at::Tensor &from, double factor, bool commits)
{
    at::Tensor whole = from.contiguous(), to = at::empty_like(whole);
    id<MTLCommandBuffer> buffer = torch::mps::get_command_buffer();
    dispatch_sync(torch::mps::get_dispatch_queue(), ^{
        id<MTLComputeCommandEncoder> encoder = [buffer computeCommandEncoder];
        encode(encoder, whole, to, static_cast<float>(factor));
        [encoder endEncoding];
        if (commits)
            torch::mps::commit();
    });
    return to;
}

// The command buffer is taken first, and torch launches kernels of its own before it is used.
static at::Tensor scale_late(const at::Tensor &from, double factor)
{
    id<MTLCommandBuffer> buffer = torch::mps::get_command_buffer();
    at::Tensor sum = at::add(from, from), to = at::zeros_like(from);
    id<MTLComputeCommandEncoder> encoder = [buffer computeCommandEncoder];
    encode(encoder, sum, to, static_cast<float>(factor));
    [encoder endEncoding];
    return to;
}

static at::Tensor scale_by_stream(const at::Tensor &from, double factor)
{
    at::Tensor whole = from.contiguous(), to = at::empty_like(whole);
    at::mps::MPSStream *stream = at::mps::getCurrentMPSStream();
    dispatch_sync_with_rethrow(stream->queue(), ^{
        encode(stream->commandEncoder(), whole, to, static_cast<float>(factor));
    });
    return to;
}

static at::Tensor copy_by_stream(const at::Tensor &from)
{
    at::Tensor to = at::zeros_like(from);
    at::mps::getCurrentMPSStream()->copy(at::native::mps::getMTLBufferStorage(from),
        at::native::mps::getMTLBufferStorage(to), from.nbytes(), from.storage_offset() * from.element_size(), 0, 0,
        at::mps::SyncType::COMMIT);
    return to;
}

static void fail_in_block()
{
    dispatch_sync_with_rethrow(getCurrentMPSStream()->queue(), ^{ TORCH_CHECK(false, "said in the block"); });
}

static double first_of(const at::Tensor &tensor)
{
    torch::mps::synchronize();
    id<MTLBuffer> buffer = at::native::mps::getMTLBufferStorage(tensor);
    TORCH_CHECK(buffer.length >= tensor.storage().nbytes() && buffer.device != nil, "not the tensor's buffer");
    return static_cast<const float *>(buffer.contents)[tensor.storage_offset()];
}

TORCH_LIBRARY(arcbox_extension, m)
{
    m.def("scale", scale);
    m.def("scale_late", scale_late);
    m.def("scale_by_stream", scale_by_stream);
    m.def("copy_by_stream", copy_by_stream);
    m.def("fail_in_block", fail_in_block);
    m.def("first_of", first_of);
}
