// torch: what the files of the layer for one version of PyTorch share. They turn torch's tensors into
// what the core takes, and the core's errors into torch's exceptions; kernels and their launches are
// the core's.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/EmptyTensor.h>
#include <ATen/TensorIterator.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/native/CPUFallback.h>
#include <torch/version.h>

#include "core.h"
#include "elementwise.h"
#include "matrix.h"
#include "tensor.h"

namespace arcbox {

// What an error of the core becomes.
void check(int result);
c10::Allocator *allocator();
const at::Generator &default_generator();
// The block a tensor's memory is of; an exception when it is not the device's.
abx_torch_block *block_of(const at::TensorBase &tensor);
abx_torch_operand operand_of(const at::TensorBase &tensor);
bool knows(at::ScalarType type);
// Those of formulas for complex numbers, too.
bool knows_complex(at::ScalarType type);
inline bool is_float(const at::TensorBase &tensor) { return abx_torch_is_float(static_cast<int>(tensor.scalar_type())); }
// With at most ABX_TORCH_DIMS dimensions; without memory where it is not defined.
abx_torch_tensor tensor_of(const at::Tensor &tensor);
// The last two dimensions are the matrix, one before them the batch.
abx_torch_matrix matrix_of(const at::Tensor &tensor);
// A tensor of the processor on the same memory, once launched work has written it.
at::Tensor on_processor(const at::Tensor &tensor);
at::Tensor bytes_on_processor(const at::Tensor &bytes);
at::Tensor empty_like_sizes(at::IntArrayRef sizes, at::ScalarType type);

// Complex numbers as the words they lie in, for what moves them only; others as they are.
inline at::Tensor as_words(const at::Tensor &t) { return t.is_complex() ? t.resolve_conj().view(at::kLong) : t; }

// A result that was given: it gets the size, and a copy.
at::Tensor &into(at::Tensor &out, const at::Tensor &made);
// Of each loss in the whole.
double share(const at::Tensor &losses, int64_t reduction);

// Runs an operator on the processor, on copies: for what has no kernel.
void fall_back(const c10::OperatorHandle &op, torch::jit::Stack *stack);
template <class Op> using OnProcessor = at::native::call_fallback_fn<&fall_back, Op>;
void count_native(const char *name);
void uncount_native(const char *name);

inline at::OptionalTensorRef optional(const std::optional<at::Tensor> &t)
{
    return t && t->defined() ? at::OptionalTensorRef(*t) : at::OptionalTensorRef();
}

inline at::OptionalScalarRef optional(const std::optional<at::Scalar> &s)
{
    return s ? at::OptionalScalarRef(*s) : at::OptionalScalarRef();
}

// One of ops.toml's formulas over an iterator's operands.
using Numbers = std::initializer_list<abx_torch_number>;
bool can_iterate(const at::TensorIteratorBase &iter);
// Of complex64, and others beside it. A formula for complex numbers takes all that this says.
bool can_iterate_complex(const at::TensorIteratorBase &iter);
bool can_iterate_floating(const at::TensorIteratorBase &iter);
bool can_iterate_integer(const at::TensorIteratorBase &iter);
// Complex numbers with a real result; others as unary_op().
at::TensorIterator real_iterator(at::Tensor &out, const at::Tensor &self);
// Of two real inputs, with a complex result.
at::TensorIterator complex_iterator(at::Tensor &out, const at::Tensor &a, const at::Tensor &b);
// A result of type bool; of each element alone, whatever the types.
at::TensorIterator boolean_iterator(at::Tensor &out, const at::Tensor &self, bool out_is_new);
// A result alone, of its size, which is made of each element's place.
at::TensorIterator result_iterator(at::Tensor &out);
// In the type that torch computes in; where it says none, in that of the only input, or of the result.
void iterate(at::TensorIteratorBase &iter, const char *library, Numbers numbers = {},
    at::ScalarType type = at::ScalarType::Undefined);
// The iterator as the core has it; not more than 32 bits of indices.
abx_torch_elementwise elementwise_of(const at::TensorIteratorBase &iter, const char *library, int common);
abx_torch_number number_of(const at::Scalar &scalar);
abx_torch_number number_or_lowest(const std::optional<at::Scalar> &scalar);
abx_torch_number number_or_highest(const std::optional<at::Scalar> &scalar);
inline bool is_text(bool given, const char *text) { return given == (*text == 't'); }
inline bool is_text(std::string_view given, const char *text) { return given == text; }
inline bool is_text(std::optional<std::string_view> given, const char *text) { return given.value_or("") == text; }
inline abx_torch_number number_of(double value) { return {value, static_cast<int64_t>(value), 0}; }
inline abx_torch_number number_of(int64_t value) { return {static_cast<double>(value), value, 0}; }
inline abx_torch_number number_of(bool value) { return {value ? 1.0 : 0.0, value, 0}; }

} // namespace arcbox
