/** A hash that tells two texts apart which differ by accident; not one against somebody who wants them to meet. Pure. */

const [FIRST, SECOND] = [0xde_ad_be_ef, 0x41_c6_ce_57];

/** 53 bits of a text, in hex (cyrb53). */
export function textHash(text: string): string {
  let [a, b] = [FIRST, SECOND];
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    a = Math.imul(a ^ code, 2_654_435_761);
    b = Math.imul(b ^ code, 1_597_334_677);
  }
  a = Math.imul(a ^ (a >>> 16), 2_246_822_507) ^ Math.imul(b ^ (b >>> 13), 3_266_489_909);
  b = Math.imul(b ^ (b >>> 16), 2_246_822_507) ^ Math.imul(a ^ (a >>> 13), 3_266_489_909);
  return (4_294_967_296 * (2_097_151 & b) + (a >>> 0)).toString(16);
}
