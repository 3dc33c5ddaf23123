// torch: kernels that a user wrote (torch.mps.compile_shader), for our Python side, which is what a user has.
#include "shim.h"

#include <torch/library.h>

#include <atomic>
#include <cstdlib>
#include <sstream>

namespace arcbox {
using at::IntArrayRef;
using at::Tensor;

static std::string name_of(int64_t library)
{
    return "user" + std::to_string(library);
}

static int64_t make_library(const std::string &text, bool is_file)
{
    static std::atomic<int64_t> count{0};
    int64_t made = ++count;
    check(abx_torch_open());
    check((is_file ? abx_torch_add_library_file : abx_torch_add_library)(name_of(made).c_str(), text.c_str()));
    return made;
}

static std::vector<std::string> function_names(int64_t library)
{
    std::unique_ptr<char, decltype(&std::free)> text(abx_torch_function_names(name_of(library).c_str()), &std::free);
    std::vector<std::string> names;
    std::istringstream lines(text ? text.get() : "");
    for (std::string line; std::getline(lines, line);)
        names.push_back(line);
    return names;
}

static std::vector<int64_t> describe_function(int64_t library, const std::string &function)
{
    abx_torch_function f;
    check(abx_torch_describe(name_of(library).c_str(), function.c_str(), &f));
    return {static_cast<int64_t>(f.most_threads), static_cast<int64_t>(f.width), static_cast<int64_t>(f.memory)};
}

// Arguments are tensors, or as many bytes of `numbers` as `sizes` says, one after the other.
static void run_function(int64_t library, const std::string &function, const c10::List<std::optional<Tensor>> &tensors,
    const Tensor &numbers, IntArrayRef sizes, IntArrayRef threads, IntArrayRef group)
{
    std::vector<abx_torch_argument> arguments(tensors.size());
    TORCH_CHECK(sizes.size() == tensors.size() && threads.size() == 3 && group.size() == 3 &&
            numbers.device().is_cpu() && numbers.is_contiguous(),
        "not what a launch has");
    size_t at = 0;
    for (size_t i = 0; i < arguments.size(); i++) {
        std::optional<Tensor> tensor = tensors.get(i);
        if (tensor) {
            TORCH_CHECK(tensor->is_mps(), "Passed ", tensor->device(), " tensor to a kernel of the MPS device");
            arguments[i].operand = operand_of(*tensor);
            continue;
        }
        arguments[i].bytes = static_cast<const char *>(numbers.const_data_ptr()) + at;
        arguments[i].size = static_cast<size_t>(sizes[i]);
        at += arguments[i].size;
        TORCH_CHECK(sizes[i] > 0 && at <= numbers.nbytes(), "not what a launch has");
    }
    size_t grid[3], shape[3];
    for (int d = 0; d < 3; d++) {
        TORCH_CHECK(threads[d] >= 0 && group[d] > 0, "a launch of a negative number of threads");
        grid[d] = static_cast<size_t>(threads[d]);
        shape[d] = static_cast<size_t>(group[d]);
    }
    check(abx_torch_run_user(name_of(library).c_str(), function.c_str(), arguments.data(),
        static_cast<unsigned>(arguments.size()), grid, shape));
}

TORCH_LIBRARY_FRAGMENT(arcbox, m)
{
    m.def("make_library(str text, bool is_file) -> int", make_library);
    m.def("function_names(int library) -> str[]", function_names);
    m.def("describe_function(int library, str function) -> int[]", describe_function);
    m.def("run_function(int library, str function, Tensor?[] tensors, Tensor numbers, int[] sizes, int[3] threads, "
          "int[3] group) -> ()", run_function);
}

} // namespace arcbox
