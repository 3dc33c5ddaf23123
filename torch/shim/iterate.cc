// torch: torch's iterators over the operands of elementwise operations become launches.
#include "shim.h"

namespace arcbox {

abx_torch_number number_of(const at::Scalar &scalar)
{
    if (scalar.isComplex())
        return {scalar.toComplexDouble().real(), 0, scalar.toComplexDouble().imag()};
    if (scalar.isIntegral(true))
        return {scalar.to<double>(), scalar.to<int64_t>(), 0};
    double value = scalar.to<double>();
    bool fits = value > -9.2e18 && value < 9.2e18;
    return {value, fits ? static_cast<int64_t>(value) : 0, 0};
}

abx_torch_number number_or_lowest(const std::optional<at::Scalar> &scalar)
{
    return scalar ? number_of(*scalar)
                  : abx_torch_number{-std::numeric_limits<double>::infinity(), std::numeric_limits<int64_t>::min(), 0};
}

abx_torch_number number_or_highest(const std::optional<at::Scalar> &scalar)
{
    return scalar ? number_of(*scalar)
                  : abx_torch_number{std::numeric_limits<double>::infinity(), std::numeric_limits<int64_t>::max(), 0};
}

static int type_of(const at::TensorIteratorBase &iter, int operand)
{
    return static_cast<int>(iter.dtype(operand));
}

// Numbers among the operands, as `tensor + 1` has, are tensors of the processor.
static bool is_number(const at::TensorIteratorBase &iter, int operand)
{
    return operand >= iter.noutputs() && iter.tensor_base(operand).device().is_cpu();
}

bool can_iterate(const at::TensorIteratorBase &iter)
{
    if (iter.ntensors() > ABX_TORCH_ELEMENTWISE_OPERANDS || iter.ndim() > ABX_TORCH_ELEMENTWISE_DIMS)
        return false;
    for (int i = 0; i < iter.ntensors(); i++) {
        if (!is_number(iter, i) && !abx_torch_knows_type(type_of(iter, i)))
            return false;
        if (is_number(iter, i) && at::isComplexType(iter.dtype(i)))
            return false;
    }
    return true;
}

bool knows_complex(at::ScalarType type)
{
    return type == at::kComplexFloat || knows(type);
}

static bool has_complex(const at::TensorIteratorBase &iter)
{
    for (int i = 0; i < iter.ntensors(); i++)
        if (at::isComplexType(iter.dtype(i)))
            return true;
    return false;
}

bool can_iterate_complex(const at::TensorIteratorBase &iter)
{
    if (iter.ntensors() > ABX_TORCH_ELEMENTWISE_OPERANDS || iter.ndim() > ABX_TORCH_ELEMENTWISE_DIMS || !has_complex(iter))
        return false;
    for (int i = 0; i < iter.ntensors(); i++)
        if (!is_number(iter, i) && !knows_complex(iter.dtype(i)))
            return false;
    return true;
}

at::TensorIterator real_iterator(at::Tensor &out, const at::Tensor &self)
{
    if (!out.defined() || out.scalar_type() == self.scalar_type())
        return at::TensorIterator::unary_op(out, self);
    return at::TensorIteratorConfig().check_all_same_dtype(false).add_output(out).add_const_input(self).build();
}

at::TensorIterator complex_iterator(at::Tensor &out, const at::Tensor &a, const at::Tensor &b)
{
    TORCH_CHECK(a.scalar_type() == b.scalar_type(), "Expected object of scalar type ", a.scalar_type(), " but got scalar type ",
        b.scalar_type(), " for second argument");
    return at::TensorIteratorConfig().check_all_same_dtype(false).add_output(out).add_const_input(a).add_const_input(b).build();
}

// torch asks for the common type only where there is one; what else would, its class keeps to itself.
struct Common : at::TensorIteratorBase {
    static at::ScalarType of(const at::TensorIteratorBase &iter) { return iter.*(&Common::common_dtype_); }
};

static at::ScalarType computed_in(const at::TensorIteratorBase &iter)
{
    at::ScalarType common = Common::of(iter);
    bool unary = iter.ntensors() == iter.noutputs() + 1;
    return common != at::ScalarType::Undefined ? common : iter.dtype(unary ? iter.noutputs() : 0);
}

bool can_iterate_floating(const at::TensorIteratorBase &iter)
{
    return can_iterate(iter) && abx_torch_is_float(static_cast<int>(computed_in(iter)));
}

bool can_iterate_integer(const at::TensorIteratorBase &iter)
{
    return can_iterate(iter) && !abx_torch_is_float(static_cast<int>(computed_in(iter)));
}

at::TensorIterator boolean_iterator(at::Tensor &out, const at::Tensor &self, bool out_is_new)
{
    at::TensorIteratorConfig config;
    config.check_all_same_dtype(false).add_output(out).add_const_input(self);
    if (out_is_new)
        config.declare_static_dtype(at::kBool);
    return config.build();
}

abx_torch_elementwise elementwise_of(const at::TensorIteratorBase &iter, const char *library, int common)
{
    abx_torch_elementwise e = {};
    e.library = library;
    e.common = common;
    e.dims = static_cast<unsigned>(iter.ndim());
    e.count = static_cast<unsigned>(iter.ntensors());
    for (unsigned d = 0; d < e.dims; d++)
        e.size[d] = static_cast<uint32_t>(iter.shape()[d]);
    for (unsigned i = 0; i < e.count; i++) {
        auto &to = e.operands[i];
        if (is_number(iter, static_cast<int>(i))) {
            to.type = ABX_TORCH_NUMBER;
            to.number = number_of(iter.tensor(static_cast<int>(i)).item());
            continue;
        }
        to.type = type_of(iter, static_cast<int>(i));
        abx_torch_block *block = block_of(iter.tensor_base(static_cast<int>(i)));
        to.at = {block, static_cast<size_t>(static_cast<char *>(iter.data_ptr(static_cast<int>(i))) -
                            static_cast<char *>(block->place))};
        for (unsigned d = 0; d < e.dims; d++)
            to.stride[d] = iter.strides(static_cast<int>(i))[d];
    }
    return e;
}

static void launch(const at::TensorIteratorBase &iter, const char *library, int common, Numbers numbers)
{
    std::string complex = "c_" + std::string(library + 2);
    bool is_complex = has_complex(iter) || common == ABX_TORCH_C64;
    abx_torch_elementwise e = elementwise_of(iter, is_complex ? complex.c_str() : library, common);
    unsigned n = 0;
    for (const abx_torch_number &number : numbers)
        e.scalars[n++] = number;
    check(abx_torch_run_elementwise(&e));
}

at::TensorIterator result_iterator(at::Tensor &out)
{
    return at::TensorIteratorConfig().check_all_same_dtype(false).add_output(out).resize_outputs(false).build();
}

void iterate(at::TensorIteratorBase &iter, const char *library, Numbers numbers, at::ScalarType type)
{
    if (iter.numel() == 0)
        return;
    int common = static_cast<int>(type == at::ScalarType::Undefined ? computed_in(iter) : type);
    if (!iter.can_use_32bit_indexing()) {
        for (at::TensorIterator &part : iter.with_32bit_indexing())
            launch(part, library, common, numbers);
        return;
    }
    launch(iter, library, common, numbers);
}

} // namespace arcbox
