; What Apple's compiler makes, written by hand: one module a function, each begun by a line
;   ;; NAME KIND
; KIND as in the container: kernel, vertex, fragment, visible. make_metallib.py puts data layout and
; target in front of each and the modules into a container.

;; scale kernel
; buffers and a builtin; y[i] = float(x[i]) * k, alias scopes that do not hold
define void @scale(ptr addrspace(1) noalias %x, ptr addrspace(1) noalias %y, ptr addrspace(2) noalias dereferenceable(4) %k, i32 %i) {
  %at = zext i32 %i to i64
  %p = getelementptr inbounds i32, ptr addrspace(1) %x, i64 %at
  %v = load i32, ptr addrspace(1) %p, align 4, !alias.scope !9, !noalias !10
  %f = tail call float @air.convert.f.f32.s.i32(i32 %v)
  %m = load float, ptr addrspace(2) %k, align 4
  %r = fmul nnan ninf nsz float %f, %m
  %q = getelementptr inbounds float, ptr addrspace(1) %y, i64 %at
  store float %r, ptr addrspace(1) %q, align 4, !alias.scope !10, !noalias !9
  ret void
}
declare float @air.convert.f.f32.s.i32(i32)
!air.kernel = !{!0}
!0 = !{ptr @scale, !1, !2, !7}
!1 = !{}
!2 = !{!3, !4, !5, !6}
!3 = !{i32 0, !"air.buffer", !"air.location_index", i32 0, i32 1, !"air.read", !"air.address_space", i32 1, !"air.arg_type_size", i32 4, !"air.arg_type_align_size", i32 4, !"air.arg_type_name", !"int", !"air.arg_name", !"x"}
!4 = !{i32 1, !"air.buffer", !"air.location_index", i32 1, i32 1, !"air.read_write", !"air.address_space", i32 1, !"air.arg_type_size", i32 4, !"air.arg_type_align_size", i32 4, !"air.arg_type_name", !"float", !"air.arg_name", !"y"}
!5 = !{i32 2, !"air.buffer", !"air.buffer_size", i32 4, !"air.location_index", i32 5, i32 1, !"air.read", !"air.address_space", i32 2, !"air.arg_type_size", i32 4, !"air.arg_type_align_size", i32 4, !"air.arg_type_name", !"float", !"air.arg_name", !"k"}
!6 = !{i32 3, !"air.thread_position_in_grid", !"air.arg_type_name", !"uint", !"air.arg_name", !"i"}
!7 = !{!"air.max_work_group_size", i32 256}
!8 = distinct !{!8}
!9 = !{!11}
!10 = !{!12}
!11 = distinct !{!11, !8}
!12 = distinct !{!12, !8}

;; promises kernel
; of fast math that do not hold: y[i] = x[i] / x[i + 64], and 7 where that is a NaN
define void @promises(ptr addrspace(1) %x, ptr addrspace(1) %y, i32 %i) #0 {
  %at = zext i32 %i to i64
  %p = getelementptr inbounds float, ptr addrspace(1) %x, i64 %at
  %v = load float, ptr addrspace(1) %p, align 4
  %p2 = getelementptr inbounds float, ptr addrspace(1) %p, i64 64
  %d = load float, ptr addrspace(1) %p2, align 4
  %r = fdiv fast float %v, %d
  %n = fcmp fast uno float %r, %r
  %s = select fast i1 %n, float 7.0, float %r
  %q = getelementptr inbounds float, ptr addrspace(1) %y, i64 %at
  store float %s, ptr addrspace(1) %q, align 4
  ret void
}
attributes #0 = { "approx-func-fp-math"="true" "no-infs-fp-math"="true" "no-nans-fp-math"="true" "no-signed-zeros-fp-math"="true" "unsafe-fp-math"="true" }
!air.kernel = !{!0}
!0 = !{ptr @promises, !1, !2}
!1 = !{}
!2 = !{!3, !4, !5}
!3 = !{i32 0, !"air.buffer", !"air.location_index", i32 0, i32 1, !"air.read", !"air.address_space", i32 1, !"air.arg_type_size", i32 4, !"air.arg_type_align_size", i32 4, !"air.arg_type_name", !"float", !"air.arg_name", !"x"}
!4 = !{i32 1, !"air.buffer", !"air.location_index", i32 1, i32 1, !"air.read_write", !"air.address_space", i32 1, !"air.arg_type_size", i32 4, !"air.arg_type_align_size", i32 4, !"air.arg_type_name", !"float", !"air.arg_name", !"y"}
!5 = !{i32 2, !"air.thread_position_in_grid", !"air.arg_type_name", !"uint", !"air.arg_name", !"i"}

;; reduce kernel
; threadgroup memory of its own and the host's, barriers, SIMD-group sums; out[group] = sum of a group
@partial = internal unnamed_addr addrspace(3) global [32 x float] undef, align 4
define void @reduce(ptr addrspace(1) %x, ptr addrspace(1) %out, ptr addrspace(3) %copy, <3 x i32> %group, <3 x i16> %local, <3 x i32> %size, i32 %lane, i32 %simd) convergent {
  %gx = extractelement <3 x i32> %group, i64 0
  %lx16 = extractelement <3 x i16> %local, i64 0
  %lx = zext i16 %lx16 to i32
  %n = extractelement <3 x i32> %size, i64 0
  %base = mul i32 %gx, %n
  %i = add i32 %base, %lx
  %i64 = zext i32 %i to i64
  %p = getelementptr inbounds float, ptr addrspace(1) %x, i64 %i64
  %v = load float, ptr addrspace(1) %p, align 4
  %s = tail call float @air.simd_sum.f32(float %v) convergent
  %first = icmp eq i32 %lane, 0
  br i1 %first, label %keep, label %meet
keep:
  %k = zext i32 %simd to i64
  %slot = getelementptr inbounds [32 x float], ptr addrspace(3) @partial, i64 0, i64 %k
  store float %s, ptr addrspace(3) %slot, align 4
  br label %meet
meet:
  tail call void @air.wg.barrier(i32 2, i32 1) convergent
  %zero = icmp eq i32 %lx, 0
  br i1 %zero, label %sum, label %end
sum:
  tail call void @llvm.memcpy.p3.p3.i64(ptr addrspace(3) align 4 %copy, ptr addrspace(3) align 4 @partial, i64 128, i1 false)
  %count = lshr i32 %n, 5
  br label %loop
loop:
  %at = phi i32 [ 0, %sum ], [ %next, %loop ]
  %total = phi float [ 0.0, %sum ], [ %more, %loop ]
  %at64 = zext i32 %at to i64
  %from = getelementptr inbounds float, ptr addrspace(3) %copy, i64 %at64
  %one = load float, ptr addrspace(3) %from, align 4
  %more = fadd float %total, %one
  %next = add i32 %at, 1
  %again = icmp ult i32 %next, %count
  br i1 %again, label %loop, label %store, !llvm.loop !30
store:
  %g64 = zext i32 %gx to i64
  %q = getelementptr inbounds float, ptr addrspace(1) %out, i64 %g64
  store float %more, ptr addrspace(1) %q, align 4
  br label %end
end:
  ret void
}
declare float @air.simd_sum.f32(float) convergent
declare void @air.wg.barrier(i32, i32) convergent
declare void @llvm.memcpy.p3.p3.i64(ptr addrspace(3), ptr addrspace(3), i64, i1)
!air.kernel = !{!0}
!0 = !{ptr @reduce, !1, !2}
!1 = !{}
!2 = !{!3, !4, !5, !6, !7, !8, !9, !10}
!3 = !{i32 0, !"air.buffer", !"air.location_index", i32 0, i32 1, !"air.read", !"air.address_space", i32 1, !"air.arg_type_size", i32 4, !"air.arg_type_align_size", i32 4, !"air.arg_type_name", !"float", !"air.arg_name", !"x"}
!4 = !{i32 1, !"air.buffer", !"air.location_index", i32 1, i32 1, !"air.read_write", !"air.address_space", i32 1, !"air.arg_type_size", i32 4, !"air.arg_type_align_size", i32 4, !"air.arg_type_name", !"float", !"air.arg_name", !"out"}
!5 = !{i32 2, !"air.buffer", !"air.location_index", i32 0, i32 1, !"air.read_write", !"air.address_space", i32 3, !"air.arg_type_size", i32 4, !"air.arg_type_align_size", i32 4, !"air.arg_type_name", !"float", !"air.arg_name", !"copy"}
!6 = !{i32 3, !"air.threadgroup_position_in_grid", !"air.arg_type_name", !"uint3", !"air.arg_name", !"group"}
!7 = !{i32 4, !"air.thread_position_in_threadgroup", !"air.arg_type_name", !"ushort3", !"air.arg_name", !"local"}
!8 = !{i32 5, !"air.threads_per_threadgroup", !"air.arg_type_name", !"uint3", !"air.arg_name", !"size"}
!9 = !{i32 6, !"air.thread_index_in_simdgroup", !"air.arg_type_name", !"uint", !"air.arg_name", !"lane"}
!10 = !{i32 7, !"air.simdgroup_index_in_threadgroup", !"air.arg_type_name", !"uint", !"air.arg_name", !"simd"}
!30 = distinct !{!30, !31}
!31 = !{!"llvm.loop.mustprogress"}

;; constants kernel
; function constants: copied, computed from and tested by a static initialiser; an argument that is
; there only when one is set. out[i] = add ? other[i] + twice : twice
@add.init = internal unnamed_addr addrspace(2) externally_initialized constant i8 undef, section "air.fc_initializer", align 1
@add = internal unnamed_addr addrspace(2) global i8 undef, align 1
@times.init = internal unnamed_addr addrspace(2) externally_initialized constant i32 undef, section "air.fc_initializer", align 4
@twice = internal unnamed_addr addrspace(2) global i32 0, align 4
@offset.init = internal unnamed_addr addrspace(2) externally_initialized constant <2 x i32> undef, section "air.fc_initializer", align 8
@there = internal addrspace(2) global i8 0, align 1
@llvm.global_ctors = appending global [1 x { i32, ptr, ptr }] [{ i32, ptr, ptr } { i32 65535, ptr @init, ptr null }]
@llvm.compiler.used = appending global [1 x ptr] [ptr addrspacecast (ptr addrspace(2) @there to ptr)], section "llvm.metadata"
define internal void @init() section "air.static_init" {
  %a = load i8, ptr addrspace(2) @add.init, align 1
  store i8 %a, ptr addrspace(2) @add, align 1
  %there = tail call i8 @air.normalize_function_constant_predicate.i8(i8 %a)
  store i8 %there, ptr addrspace(2) @there, align 1
  %t = load i32, ptr addrspace(2) @times.init, align 4
  %o = load <2 x i32>, ptr addrspace(2) @offset.init, align 8
  %y = extractelement <2 x i32> %o, i64 1
  %t2 = shl i32 %t, 1
  %sum = add i32 %t2, %y
  store i32 %sum, ptr addrspace(2) @twice, align 4
  ret void
}
define void @constants(ptr addrspace(1) %out, ptr addrspace(1) %other, i32 %i) {
  %at = zext i32 %i to i64
  %t = load i32, ptr addrspace(2) @twice, align 4
  %a = load i8, ptr addrspace(2) @add, align 1
  %with = icmp ne i8 %a, 0
  br i1 %with, label %more, label %end
more:
  %p = getelementptr inbounds i32, ptr addrspace(1) %other, i64 %at
  %v = load i32, ptr addrspace(1) %p, align 4
  %s = add i32 %v, %t
  br label %end
end:
  %r = phi i32 [ %t, %0 ], [ %s, %more ]
  %q = getelementptr inbounds i32, ptr addrspace(1) %out, i64 %at
  store i32 %r, ptr addrspace(1) %q, align 4
  ret void
}
declare i8 @air.normalize_function_constant_predicate.i8(i8)
!air.kernel = !{!0}
!air.function_constants = !{!7, !8, !9}
!0 = !{ptr @constants, !1, !2}
!1 = !{}
!2 = !{!3, !4, !6}
!3 = !{i32 0, !"air.buffer", !"air.location_index", i32 0, i32 1, !"air.read_write", !"air.address_space", i32 1, !"air.arg_type_size", i32 4, !"air.arg_type_align_size", i32 4, !"air.arg_type_name", !"int", !"air.arg_name", !"out"}
!4 = !{i32 1, !"air.function_constant", !5, !"air.buffer", !"air.location_index", i32 1, i32 1, !"air.read", !"air.address_space", i32 1, !"air.arg_type_size", i32 4, !"air.arg_type_align_size", i32 4, !"air.arg_type_name", !"int", !"air.arg_name", !"other"}
!5 = !{ptr addrspace(2) @there, !"bool", !"add"}
!6 = !{i32 2, !"air.thread_position_in_grid", !"air.arg_type_name", !"uint", !"air.arg_name", !"i"}
!7 = !{ptr addrspace(2) @add.init, !"bool", !"add", i32 3, i1 true}
!8 = !{ptr addrspace(2) @times.init, !"int", !"times", i32 7, i1 true}
!9 = !{ptr addrspace(2) @offset.init, !"int2", !"offset", i32 8, i1 false}

;; other_constants kernel
; another constant of the same index: a library may hold both
@times.init = internal addrspace(2) externally_initialized constant float undef, section "air.fc_initializer", align 4
define void @other_constants(ptr addrspace(1) %out, i32 %i) {
  %at = zext i32 %i to i64
  %t = load float, ptr addrspace(2) @times.init, align 4
  %q = getelementptr inbounds float, ptr addrspace(1) %out, i64 %at
  store float %t, ptr addrspace(1) %q, align 4
  ret void
}
!air.kernel = !{!0}
!air.function_constants = !{!5}
!0 = !{ptr @other_constants, !1, !2}
!1 = !{}
!2 = !{!3, !4}
!3 = !{i32 0, !"air.buffer", !"air.location_index", i32 0, i32 1, !"air.read_write", !"air.address_space", i32 1, !"air.arg_type_size", i32 4, !"air.arg_type_align_size", i32 4, !"air.arg_type_name", !"float", !"air.arg_name", !"out"}
!4 = !{i32 1, !"air.thread_position_in_grid", !"air.arg_type_name", !"uint", !"air.arg_name", !"i"}
!5 = !{ptr addrspace(2) @times.init, !"float", !"factor", i32 7, i1 true}

;; copied kernel
; a copy of a SIMD-group, whether a constant was given, a function table that is there only when another is set:
; out[i] = in[i] * (scale given ? scale : 10)
@use.init = internal addrspace(2) externally_initialized constant i8 undef, section "air.fc_initializer", align 1
@scale.init = internal addrspace(2) externally_initialized constant i32 undef, section "air.fc_initializer", align 4
@tile = internal unnamed_addr addrspace(3) global [32 x i32] undef, align 4
define void @copied(ptr addrspace(1) %out, ptr addrspace(1) %in, ptr addrspace(1) %table, i32 %i) {
  %slot = alloca ptr, align 8
  %event = tail call ptr @air.simdgroup_async_copy_1d.p3i8.p1i8(i64 4, i64 4, ptr addrspace(3) @tile, ptr addrspace(1) %in, i64 32) convergent
  store ptr %event, ptr %slot, align 8
  call void @air.wait_simdgroup_events(i32 1, ptr %slot) convergent
  %at = zext i32 %i to i64
  %p = getelementptr inbounds [32 x i32], ptr addrspace(3) @tile, i64 0, i64 %at
  %v = load i32, ptr addrspace(3) %p, align 4
  %given = tail call i1 @air.is_function_constant_defined(ptr addrspace(2) @scale.init)
  %scale = load i32, ptr addrspace(2) @scale.init, align 4
  %k = select i1 %given, i32 %scale, i32 10
  %scaled = mul i32 %v, %k
  %u = load i8, ptr addrspace(2) @use.init, align 1
  %with = icmp ne i8 %u, 0
  br i1 %with, label %call, label %end
call:
  %f = tail call ptr @air.get_function_pointer_visible_function_table(ptr addrspace(1) %table, i32 0)
  %called = tail call i32 %f(i32 %scaled)
  br label %end
end:
  %r = phi i32 [ %scaled, %0 ], [ %called, %call ]
  %q = getelementptr inbounds i32, ptr addrspace(1) %out, i64 %at
  store i32 %r, ptr addrspace(1) %q, align 4
  ret void
}
declare ptr @air.simdgroup_async_copy_1d.p3i8.p1i8(i64, i64, ptr addrspace(3), ptr addrspace(1), i64)
declare void @air.wait_simdgroup_events(i32, ptr)
declare i1 @air.is_function_constant_defined(ptr addrspace(2))
declare ptr @air.get_function_pointer_visible_function_table(ptr addrspace(1), i32)
!air.kernel = !{!0}
!air.function_constants = !{!8, !9}
!0 = !{ptr @copied, !1, !2}
!1 = !{}
!2 = !{!3, !4, !5, !7}
!3 = !{i32 0, !"air.buffer", !"air.location_index", i32 0, i32 1, !"air.read_write", !"air.address_space", i32 1, !"air.arg_type_size", i32 4, !"air.arg_type_align_size", i32 4, !"air.arg_type_name", !"int", !"air.arg_name", !"out"}
!4 = !{i32 1, !"air.buffer", !"air.location_index", i32 1, i32 1, !"air.read", !"air.address_space", i32 1, !"air.arg_type_size", i32 4, !"air.arg_type_align_size", i32 4, !"air.arg_type_name", !"int", !"air.arg_name", !"in"}
!5 = !{i32 2, !"air.function_constant", !6, !"air.visible_function_table", !"air.location_index", i32 2, i32 1, !"air.read", !"air.address_space", i32 1, !"air.arg_type_name", !"visible_function_table<int (int)>", !"air.arg_name", !"table"}
!6 = !{ptr addrspace(2) @use.init, !"bool", !"use"}
!7 = !{i32 3, !"air.thread_position_in_grid", !"air.arg_type_name", !"uint", !"air.arg_name", !"i"}
!8 = !{ptr addrspace(2) @use.init, !"bool", !"use", i32 20, i1 false}
!9 = !{ptr addrspace(2) @scale.init, !"int", !"scale", i32 21, i1 false}

;; atomics kernel
; counts[0..7] from every thread: add, min, max, exchange-if until it holds, float add, or; load, store
define void @atomics(ptr addrspace(1) %c, i32 %i) {
  %e = alloca i32, align 4
  %p1 = getelementptr inbounds i32, ptr addrspace(1) %c, i64 1
  %p2 = getelementptr inbounds i32, ptr addrspace(1) %c, i64 2
  %p3 = getelementptr inbounds i32, ptr addrspace(1) %c, i64 3
  %p4 = getelementptr inbounds i32, ptr addrspace(1) %c, i64 4
  %p5 = getelementptr inbounds i32, ptr addrspace(1) %c, i64 5
  %p6 = getelementptr inbounds i32, ptr addrspace(1) %c, i64 6
  %a = call i32 @air.atomic.global.add.u.i32(ptr addrspace(1) %c, i32 2, i32 0, i32 2, i1 true)
  %b = call i32 @air.atomic.global.min.s.i32(ptr addrspace(1) %p1, i32 %i, i32 0, i32 2, i1 true)
  %d = call i32 @air.atomic.global.max.u.i32(ptr addrspace(1) %p2, i32 %i, i32 0, i32 2, i1 true)
  %f = call float @air.atomic.global.add.f32(ptr addrspace(1) %p4, float 0.5, i32 0, i32 2, i1 true)
  %bit = and i32 %i, 15
  %mask = shl i32 1, %bit
  %o = call i32 @air.atomic.global.or.u.i32(ptr addrspace(1) %p5, i32 %mask, i32 0, i32 2, i1 true)
  %old = call i32 @air.atomic.global.load.i32(ptr addrspace(1) %p3, i32 0, i32 2, i1 true)
  store i32 %old, ptr %e, align 4
  br label %again
again:
  %now = load i32, ptr %e, align 4
  %new = add i32 %now, 3
  %was = call i32 @air.atomic.global.cmpxchg.weak.i32(ptr addrspace(1) %p3, ptr %e, i32 %new, i32 0, i32 0, i32 2, i1 true)
  %ok = icmp eq i32 %was, %now
  br i1 %ok, label %end, label %again
end:
  call void @air.atomic.global.store.i32(ptr addrspace(1) %p6, i32 77, i32 0, i32 2, i1 true)
  ret void
}
declare i32 @air.atomic.global.add.u.i32(ptr addrspace(1), i32, i32, i32, i1)
declare i32 @air.atomic.global.min.s.i32(ptr addrspace(1), i32, i32, i32, i1)
declare i32 @air.atomic.global.max.u.i32(ptr addrspace(1), i32, i32, i32, i1)
declare i32 @air.atomic.global.or.u.i32(ptr addrspace(1), i32, i32, i32, i1)
declare float @air.atomic.global.add.f32(ptr addrspace(1), float, i32, i32, i1)
declare i32 @air.atomic.global.load.i32(ptr addrspace(1), i32, i32, i1)
declare void @air.atomic.global.store.i32(ptr addrspace(1), i32, i32, i32, i1)
declare i32 @air.atomic.global.cmpxchg.weak.i32(ptr addrspace(1), ptr, i32, i32, i32, i32, i1)
!air.kernel = !{!0}
!0 = !{ptr @atomics, !1, !2}
!1 = !{}
!2 = !{!3, !4}
!3 = !{i32 0, !"air.buffer", !"air.location_index", i32 0, i32 1, !"air.read_write", !"air.address_space", i32 1, !"air.arg_type_size", i32 4, !"air.arg_type_align_size", i32 4, !"air.arg_type_name", !"atomic_uint", !"air.arg_name", !"c"}
!4 = !{i32 1, !"air.thread_position_in_grid", !"air.arg_type_name", !"uint", !"air.arg_name", !"i"}

;; matrices kernel
; one SIMD-group: c = a * b + c with the elements set by hand, the old and the new form of load
define void @matrices(ptr addrspace(1) %a, ptr addrspace(1) %b, ptr addrspace(1) %c) convergent {
  %ma = call <64 x float> @air.simdgroup_matrix_8x8_load.v64f32.p1f32(ptr addrspace(1) %a, i64 8, <2 x i64> zeroinitializer, i1 false) convergent
  %mb = call <64 x half> @air.simdgroup_matrix_8x8_load.v64f16.p1f16(ptr addrspace(1) %b, <2 x i64> <i64 8, i64 8>, <2 x i64> <i64 1, i64 8>, <2 x i64> zeroinitializer) convergent
  %mc = call <64 x float> @air.simdgroup_matrix_8x8_init_filled.v64f32.f32(float 2.0) convergent
  %pair = shufflevector <64 x float> %ma, <64 x float> poison, <2 x i32> <i32 0, i32 1>
  %double = fmul <2 x float> %pair, <float 2.0, float 2.0>
  %wide = shufflevector <2 x float> %double, <2 x float> poison, <64 x i32> <i32 0, i32 1, i32 poison, i32 poison, i32 poison, i32 poison, i32 poison, i32 poison, i32 poison, i32 poison, i32 poison, i32 poison, i32 poison, i32 poison, i32 poison, i32 poison, i32 poison, i32 poison, i32 poison, i32 poison, i32 poison, i32 poison, i32 poison, i32 poison, i32 poison, i32 poison, i32 poison, i32 poison, i32 poison, i32 poison, i32 poison, i32 poison, i32 poison, i32 poison, i32 poison, i32 poison, i32 poison, i32 poison, i32 poison, i32 poison, i32 poison, i32 poison, i32 poison, i32 poison, i32 poison, i32 poison, i32 poison, i32 poison, i32 poison, i32 poison, i32 poison, i32 poison, i32 poison, i32 poison, i32 poison, i32 poison, i32 poison, i32 poison, i32 poison, i32 poison, i32 poison, i32 poison, i32 poison, i32 poison>
  br label %loop
loop:
  %n = phi i32 [ 0, %0 ], [ %next, %loop ]
  %sum = phi <64 x float> [ %mc, %0 ], [ %more, %loop ]
  %more = call <64 x float> @air.simdgroup_matrix_8x8_multiply_accumulate.v64f32.v64f32.v64f16.v64f32(<64 x float> %wide, <64 x half> %mb, <64 x float> %sum) convergent
  %next = add i32 %n, 1
  %again = icmp ult i32 %next, 3
  br i1 %again, label %loop, label %end
end:
  call void @air.simdgroup_matrix_8x8_store.v64f32.p1f32(<64 x float> %more, ptr addrspace(1) %c, i64 8, <2 x i64> zeroinitializer, i1 true) convergent
  ret void
}
declare <64 x float> @air.simdgroup_matrix_8x8_load.v64f32.p1f32(ptr addrspace(1), i64, <2 x i64>, i1) convergent
declare <64 x half> @air.simdgroup_matrix_8x8_load.v64f16.p1f16(ptr addrspace(1), <2 x i64>, <2 x i64>, <2 x i64>) convergent
declare <64 x float> @air.simdgroup_matrix_8x8_init_filled.v64f32.f32(float) convergent
declare <64 x float> @air.simdgroup_matrix_8x8_multiply_accumulate.v64f32.v64f32.v64f16.v64f32(<64 x float>, <64 x half>, <64 x float>) convergent
declare void @air.simdgroup_matrix_8x8_store.v64f32.p1f32(<64 x float>, ptr addrspace(1), i64, <2 x i64>, i1) convergent
!air.kernel = !{!0}
!0 = !{ptr @matrices, !1, !2}
!1 = !{}
!2 = !{!3, !4, !5}
!3 = !{i32 0, !"air.buffer", !"air.location_index", i32 0, i32 1, !"air.read", !"air.address_space", i32 1, !"air.arg_type_size", i32 4, !"air.arg_type_align_size", i32 4, !"air.arg_type_name", !"float", !"air.arg_name", !"a"}
!4 = !{i32 1, !"air.buffer", !"air.location_index", i32 1, i32 1, !"air.read", !"air.address_space", i32 1, !"air.arg_type_size", i32 2, !"air.arg_type_align_size", i32 2, !"air.arg_type_name", !"half", !"air.arg_name", !"b"}
!5 = !{i32 2, !"air.buffer", !"air.location_index", i32 2, i32 1, !"air.read_write", !"air.address_space", i32 1, !"air.arg_type_size", i32 4, !"air.arg_type_align_size", i32 4, !"air.arg_type_name", !"float", !"air.arg_name", !"c"}

;; functions kernel
; one number after the other: vectors, whole and componentwise, out parameters, integers, conversions
define void @functions(ptr addrspace(1) %x, ptr addrspace(1) %out) {
  %c = alloca <4 x float>, align 16
  %v = load <4 x float>, ptr addrspace(1) %x, align 16
  %s = call <4 x float> @air.fast_sin.v4f32(<4 x float> %v)
  %s0 = extractelement <4 x float> %s, i64 2
  store float %s0, ptr addrspace(1) %out, align 4
  %d = call float @air.dot.v4f32(<4 x float> %v, <4 x float> %v)
  %d0 = call float @air.dot.v4f32(<4 x float> %v, <4 x float> zeroinitializer)
  %dd = fadd float %d, %d0
  %o1 = getelementptr inbounds float, ptr addrspace(1) %out, i64 1
  store float %dd, ptr addrspace(1) %o1, align 4
  %sc = call <4 x float> @air.sincos.v4f32(<4 x float> %v, ptr %c)
  %cos = load <4 x float>, ptr %c, align 16
  %c3 = extractelement <4 x float> %cos, i64 3
  %o2 = getelementptr inbounds float, ptr addrspace(1) %out, i64 2
  store float %c3, ptr addrspace(1) %o2, align 4
  %v3 = shufflevector <4 x float> %v, <4 x float> poison, <3 x i32> <i32 0, i32 1, i32 2>
  %n = call <3 x float> @air.fast_normalize.v3f32(<3 x float> %v3)
  %n1 = extractelement <3 x float> %n, i64 1
  %o3 = getelementptr inbounds float, ptr addrspace(1) %out, i64 3
  store float %n1, ptr addrspace(1) %o3, align 4
  %packed = call i32 @air.pack.unorm4x8.v4f32(<4 x float> %v)
  %o4 = getelementptr inbounds i32, ptr addrspace(1) %out, i64 4
  store i32 %packed, ptr addrspace(1) %o4, align 4
  %u = call <4 x float> @air.unpack.snorm4x8.v4f32(i32 2130706177)
  %u3 = extractelement <4 x float> %u, i64 3
  %o5 = getelementptr inbounds float, ptr addrspace(1) %out, i64 5
  store float %u3, ptr addrspace(1) %o5, align 4
  %iv = call <4 x i32> @air.convert.s.v4i32.f.v4f32(<4 x float> %v)
  %i2 = extractelement <4 x i32> %iv, i64 2
  %z = call i32 @air.clz.i32(i32 %i2, i1 false)
  %h = call i32 @air.mul_hi.u.i32(i32 -5, i32 16)
  %m = call i32 @air.max.s.i32(i32 -3, i32 -4)
  %pc = call <2 x i16> @air.popcount.v2i16(<2 x i16> <i16 7, i16 -1>)
  %pc1 = extractelement <2 x i16> %pc, i64 1
  %p = zext i16 %pc1 to i32
  %o6 = getelementptr inbounds i32, ptr addrspace(1) %out, i64 6
  store i32 %z, ptr addrspace(1) %o6, align 4
  %o7 = getelementptr inbounds i32, ptr addrspace(1) %out, i64 7
  store i32 %h, ptr addrspace(1) %o7, align 4
  %o8 = getelementptr inbounds i32, ptr addrspace(1) %out, i64 8
  store i32 %m, ptr addrspace(1) %o8, align 4
  %o9 = getelementptr inbounds i32, ptr addrspace(1) %out, i64 9
  store i32 %p, ptr addrspace(1) %o9, align 4
  %sat = call i8 @air.convert.u.i8.f.f32(float 1000.0)
  %sat32 = zext i8 %sat to i32
  %o10 = getelementptr inbounds i32, ptr addrspace(1) %out, i64 10
  store i32 %sat32, ptr addrspace(1) %o10, align 4
  %b = call bfloat @air.convert.f.bf16.f.f16(half 0xH3E01)
  %bf = call float @air.convert.f.f32.f.bf16(bfloat %b)
  %o11 = getelementptr inbounds float, ptr addrspace(1) %out, i64 11
  store float %bf, ptr addrspace(1) %o11, align 4
  %w = call i16 @air.get_simdgroup_size.i16()
  %w32 = zext i16 %w to i32
  %o12 = getelementptr inbounds i32, ptr addrspace(1) %out, i64 12
  store i32 %w32, ptr addrspace(1) %o12, align 4
  %fr = call <4 x float> @air.fract.v4f32(<4 x float> %v)
  %frs = call float @air.dot.v4f32(<4 x float> %fr, <4 x float> %fr)
  %o13 = getelementptr inbounds float, ptr addrspace(1) %out, i64 13
  store float %frs, ptr addrspace(1) %o13, align 4
  %next = call float @air.nextafter.f32(float 1.0, float 2.0)
  %o14 = getelementptr inbounds float, ptr addrspace(1) %out, i64 14
  store float %next, ptr addrspace(1) %o14, align 4
  %above = fcmp ogt <4 x float> %v, zeroinitializer
  %some = call i1 @air.any.v4i1(<4 x i1> %above)
  %every = call i1 @air.all.v4i1(<4 x i1> %above)
  %some32 = zext i1 %some to i32
  %every2 = select i1 %every, i32 2, i32 0
  %votes = or i32 %some32, %every2
  %o15 = getelementptr inbounds i32, ptr addrspace(1) %out, i64 15
  store i32 %votes, ptr addrspace(1) %o15, align 4
  ret void
}
declare <4 x float> @air.fast_sin.v4f32(<4 x float>)
declare <4 x float> @air.fract.v4f32(<4 x float>)
declare float @air.nextafter.f32(float, float)
declare i1 @air.any.v4i1(<4 x i1>)
declare i1 @air.all.v4i1(<4 x i1>)
declare float @air.dot.v4f32(<4 x float>, <4 x float>)
declare <4 x float> @air.sincos.v4f32(<4 x float>, ptr)
declare <3 x float> @air.fast_normalize.v3f32(<3 x float>)
declare i32 @air.pack.unorm4x8.v4f32(<4 x float>)
declare <4 x float> @air.unpack.snorm4x8.v4f32(i32)
declare <4 x i32> @air.convert.s.v4i32.f.v4f32(<4 x float>)
declare i32 @air.clz.i32(i32, i1)
declare i32 @air.mul_hi.u.i32(i32, i32)
declare i32 @air.max.s.i32(i32, i32)
declare <2 x i16> @air.popcount.v2i16(<2 x i16>)
declare i8 @air.convert.u.i8.f.f32(float)
declare bfloat @air.convert.f.bf16.f.f16(half)
declare float @air.convert.f.f32.f.bf16(bfloat)
declare i16 @air.get_simdgroup_size.i16()
!air.kernel = !{!0}
!0 = !{ptr @functions, !1, !2}
!1 = !{}
!2 = !{!3, !4}
!3 = !{i32 0, !"air.buffer", !"air.location_index", i32 0, i32 1, !"air.read", !"air.address_space", i32 1, !"air.arg_type_size", i32 16, !"air.arg_type_align_size", i32 16, !"air.arg_type_name", !"float4", !"air.arg_name", !"x"}
!4 = !{i32 1, !"air.buffer", !"air.location_index", i32 1, i32 1, !"air.read_write", !"air.address_space", i32 1, !"air.arg_type_size", i32 4, !"air.arg_type_align_size", i32 4, !"air.arg_type_name", !"float", !"air.arg_name", !"out"}

;; structures kernel
; an argument buffer: a number, an array and a pointer
%struct.Table = type { i32, [3 x float], ptr addrspace(1) }
define void @structures(ptr addrspace(2) %table) {
  %p = getelementptr inbounds %struct.Table, ptr addrspace(2) %table, i64 0, i32 2
  %out = load ptr addrspace(1), ptr addrspace(2) %p, align 8
  %n = load i32, ptr addrspace(2) %table, align 8
  store i32 %n, ptr addrspace(1) %out, align 4
  ret void
}
!air.kernel = !{!0}
!0 = !{ptr @structures, !1, !2}
!1 = !{}
!2 = !{!3}
!3 = !{i32 0, !"air.indirect_buffer", !"air.buffer_size", i32 24, !"air.location_index", i32 0, i32 1, !"air.read", !"air.address_space", i32 2, !"air.struct_type_info", !4, !"air.arg_type_size", i32 24, !"air.arg_type_align_size", i32 8, !"air.arg_type_name", !"Table", !"air.arg_name", !"table"}
!4 = !{i32 0, i32 4, i32 0, !"int", !"n", !"air.indirect_argument", !5, i32 4, i32 4, i32 3, !"float", !"numbers", i32 16, i32 8, i32 0, !"int", !"out", !"air.indirect_argument", !6}
!5 = !{i32 0, !"air.indirect_constant", !"air.location_index", i32 0, i32 1, !"air.arg_type_name", !"int", !"air.arg_name", !"n"}
!6 = !{i32 2, !"air.buffer", !"air.location_index", i32 4, i32 1, !"air.read_write", !"air.address_space", i32 1, !"air.arg_type_size", i32 4, !"air.arg_type_align_size", i32 4, !"air.arg_type_name", !"int", !"air.arg_name", !"out"}

;; textured kernel
; an argument that is not supported yet
define void @textured(ptr addrspace(1) %t, ptr addrspace(1) %out) {
  store i32 1, ptr addrspace(1) %out, align 4
  ret void
}
!air.kernel = !{!0}
!0 = !{ptr @textured, !1, !2}
!1 = !{}
!2 = !{!3, !4}
!3 = !{i32 0, !"air.texture", !"air.location_index", i32 0, i32 1, !"air.sample", !"air.arg_type_name", !"texture2d<float, sample>", !"air.arg_name", !"picture"}
!4 = !{i32 1, !"air.buffer", !"air.location_index", i32 0, i32 1, !"air.read_write", !"air.address_space", i32 1, !"air.arg_type_size", i32 4, !"air.arg_type_align_size", i32 4, !"air.arg_type_name", !"int", !"air.arg_name", !"out"}

;; tensors kernel
; functions that are not supported yet; they keep what has a size of its own at run time
define void @tensors(ptr addrspace(1) %out) {
  %size = load i64, ptr addrspace(1) %out, align 8
  %descriptor = alloca i8, i64 %size, align 8
  store volatile i8 1, ptr %descriptor, align 1
  %v = call i32 @air.get_extent_private_tensor.i32(ptr addrspace(1) %out)
  store i32 %v, ptr addrspace(1) %out, align 4
  ret void
}
declare i32 @air.get_extent_private_tensor.i32(ptr addrspace(1))
!air.kernel = !{!0}
!0 = !{ptr @tensors, !1, !2}
!1 = !{}
!2 = !{!3}
!3 = !{i32 0, !"air.buffer", !"air.location_index", i32 0, i32 1, !"air.read_write", !"air.address_space", i32 1, !"air.arg_type_size", i32 4, !"air.arg_type_align_size", i32 4, !"air.arg_type_name", !"int", !"air.arg_name", !"out"}

;; undescribed kernel
; no metadata of its parameters
define void @undescribed(ptr addrspace(1) %out) {
  ret void
}

;; forged kernel
; names of ours
define void @forged() {
  call void @__abx_barrier(i32 0)
  ret void
}
declare void @__abx_barrier(i32)
!air.kernel = !{!0}
!0 = !{ptr @forged, !1, !1}
!1 = !{}

;; corner vertex
define <4 x float> @corner() {
  ret <4 x float> zeroinitializer
}
