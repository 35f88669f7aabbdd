/** What the processor can do, as the C library found out when it was loaded. */

/** glibc's number of the group of features that CPUID leaf 7 has (sys/platform/x86.h). */
const LEAF_7 = 1;
/** Of the second of four words of features in use, which come behind four words of features there. */
const EBX_BYTES = 20;
const AVX512F = 1 << 16;

/**
 * Whether programs can use AVX-512 here. False also where there is no way to ask: without glibc 2.33
 * or later, or on another architecture.
 */
export function hasAvx512(): boolean {
  if (Deno.build.os !== "linux" || Deno.build.arch !== "x86_64") return false;
  const libc = openLibc();
  if (libc === null) return false;
  const leaf = libc.symbols.__x86_get_cpuid_feature_leaf(LEAF_7);
  const words = leaf && new Deno.UnsafePointerView(leaf).getUint32(EBX_BYTES);
  libc.close();
  return words !== null && (words & AVX512F) !== 0;
}

function openLibc() {
  try {
    return Deno.dlopen("libc.so.6", {
      __x86_get_cpuid_feature_leaf: { parameters: ["u32"], result: "pointer" },
    });
  } catch {
    return null; // another C library, an older one, or no permission, and then no TensorFlow either
  }
}
