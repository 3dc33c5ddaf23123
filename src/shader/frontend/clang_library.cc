/* shader: clang's driver and compiler as functions, which LLVM has no C interface for. The compiler
 * process loads this once; a clang that its child runs is then a fork, where the program would
 * first load and relocate its libraries. */
#include <clang/Basic/Stack.h>
#include <clang/Driver/Compilation.h>
#include <clang/Driver/Driver.h>
#include <clang/Driver/Job.h>
#include <clang/Frontend/CompilerInstance.h>
#include <clang/Frontend/CompilerInvocation.h>
#include <clang/Frontend/TextDiagnosticPrinter.h>
#include <clang/FrontendTool/Utils.h>
#include <llvm/Support/ErrorHandling.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/TargetParser/Host.h>

using namespace clang;

/* Once, before forking. */
extern "C" void arcbox_clang_prepare(void)
{
    llvm::InitializeAllTargets();
    llvm::InitializeAllTargetMCs();
    llvm::InitializeAllAsmPrinters();
    llvm::InitializeAllAsmParsers();
}

/* As `clang arguments...` (arguments[0]: the program's path), of one compilation. The exit status.
 * May end the process. */
extern "C" int arcbox_clang_main(unsigned count, const char *const *arguments)
{
    noteBottomOfStack();
    llvm::install_out_of_memory_new_handler();
    IntrusiveRefCntPtr<DiagnosticOptions> options(new DiagnosticOptions);
    DiagnosticsEngine diagnostics(
            new DiagnosticIDs, options, new TextDiagnosticPrinter(llvm::errs(), options.get()));
    driver::Driver driver(arguments[0], llvm::sys::getDefaultTargetTriple(), diagnostics);
    std::unique_ptr<driver::Compilation> compilation(
            driver.BuildCompilation(llvm::ArrayRef(arguments, count)));
    if (!compilation || compilation->containsError() || compilation->getJobs().size() != 1)
        return 1;
    llvm::ArrayRef<const char *> job = compilation->getJobs().begin()->getArguments();
    CompilerInstance instance;
    bool right = CompilerInvocation::CreateFromArgs(
            instance.getInvocation(), job.drop_front(), diagnostics, arguments[0]);
    instance.createDiagnostics();
    bool done = right && instance.hasDiagnostics() && ExecuteCompilerInvocation(&instance);
    llvm::outs().flush();
    return done ? 0 : 1;
}
