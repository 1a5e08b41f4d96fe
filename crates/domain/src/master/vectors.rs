//! What the official libraries make of [`SECRET`], [`EXPIRE`] and the parameters below.
//!
//! Made anew by calling them with these: `ninchat.master` of ninchat-python (c8561f2), `master` of ninchat-nodejs
//! (40f04a8), `Ninchat\Master` of ninchat-php (a6c3e1e), `GsonActionSigning` and `GsonMetadata` of ninchat-java
//! (9f4b6e6, with Gson 2.10); the tokens by PyJWT 2.15 and jwcrypto 1.6. Nonces and initialization vectors are
//! drawn by the libraries, so that texts differ each time.

use super::Wanted;

/// The id of the "ninchat" key.
pub(super) const KEY_ID: &str = "9k2mleve";
/// The id of the "jwt" key.
pub(super) const JWT_KEY_ID: &str = "levee-jwt";
/// The secret of both.
pub(super) const SECRET: &str = "+h9EaY6z2P0iR2yRttsAJUpvlLneAyhNcpe84QYrUHU=";
/// When all of it expires, in seconds. Metadata named `float` expires a quarter of a second later.
pub(super) const EXPIRE: u64 = 1_800_003_600;
/// For whom what is for one user only is.
pub(super) const USER: &str = "22ouqqbp";

const CHANNEL: &str = "1bfbr0u";
/// As another client writes it than those that signed it.
const ODD: &str = r#"{"name": "P\u00e4ivi \/ \"Öljy\"\\ \ud83d\ude00\u007f\u2028\t\u0001<&>"}"#;
const DEEP: &str = r#"{"name":"x/ä","deep":{"z":"å/","a":[1,2.5,null,true,{"y":-3,"b":""}]}}"#;
/// What the metadata says.
pub(super) const METADATA: &str = r#"{"Foo":"bar/Öö","n":[1,2.5,null]}"#;

const NEW: Wanted<'_> = Wanted::NewPuppet { puppet_attrs: None };
const NEW_ODD: Wanted<'_> = Wanted::NewPuppet { puppet_attrs: Some(ODD) };
const LOGIN: Wanted<'_> = Wanted::Puppet { user_id: USER };
const JOIN: Wanted<'_> = join(None);
const JOIN_ATTRS: Wanted<'_> = join(Some(r#"{"silenced":false}"#));
const JOIN_DEEP: Wanted<'_> = join(Some(DEEP));
const JOIN_ODD: Wanted<'_> = join(Some(ODD));

const fn join(member_attrs: Option<&str>) -> Wanted<'_> {
    Wanted::Channel { channel_id: CHANNEL, follows: false, member_attrs, user_id: USER }
}

/// Signatures: what for, and the text. The last fields of those for one user only are "1".
#[rustfmt::skip]
pub(super) const SIGNS: &[(Wanted<'_>, &str)] = &[
    // Python
    (NEW, "9k2mleve-1800003600-W2IEPFqe-NLlhWtKZAWGXj1qQIU+PCgNsZHD6sjt+VTyifIevk9h9ONgD791f2SKUOOgcC2M4X3LJhU5RqGO/idKJlwUVRg=="),
    (NEW_ODD, "9k2mleve-1800003600-iu+igY2j-91vIdfQpu2iVTtZW3Aq5u+vCCxHooHbnpOwrHfR5mpGRO9RhsbsBVGZWRonyuHGCeHGYkaOpm1UuUQChyptowQ=="),
    (LOGIN, "9k2mleve-1800003600-ORzXe7sS-du+ohdVC7cHHmbzRFCWlCw/O1VnTYuwHEMf3BKe/fxqnlXedEz7BPKAftXE460iwvTuBR5f62F+05SS1U7Zo1Q=="),
    (JOIN, "9k2mleve-1800003600-f96lllBb-HWKZu5sQua/14E1TPuNQXb0Qu+QqrAhIIcojyvM0P9xSPwvN/zRCepL6R4VJKHRAyxejCQrSt8Yr2x4hP1NXBQ=="),
    (JOIN_ATTRS, "9k2mleve-1800003600-q3eNQwSF-eWEtdym0MXObZp/zufQQLnEtsd76xvIE2BpzqiFQLbY9P+ikDfIG8Jam4CChzVWjs+tRuBTmSW+R+IgU3e3CyQ=="),
    (JOIN, "9k2mleve-1800003600-23TLdAKe-PMg4CTpf89fnffqlTvOo/ns2J5diTjYVAp93p96eVlJJ0R4PPNWVbY6RDFMUD512i37jWxuVrq9vKYo74ILpgg==-1"),
    (JOIN_ATTRS, "9k2mleve-1800003600-x0fhLD04-CuJftfXTL4wFJsbazeuDED6Ny2ByBMTP7VYxCwv4Tk7xcRJ9fp95MDXmrpGKcPsTiJo0AkXma2nvnhAiQztTmg==-1"),
    (JOIN_DEEP, "9k2mleve-1800003600-9IGFneX0-uQ4vVjFYV7nj6ut8Tg5xfOpUl8ZC1cSHwGh7CTwtQiRpFv1ec+b2Z1Z8eKWiBNILLpiyGNqIj85kjm8Sy0k6pw=="),
    (JOIN_ODD, "9k2mleve-1800003600-OaMfErMj-LopnZBjUpQK5sb9fjDDb6nV2HIWG6IQ1djEiECEZIXx0/SWrqpzvPg2YtRumfj66QusOkykRz/3j5nf+KNdMlQ=="),
    // Node.js
    (NEW, "9k2mleve.1800003600.5-_UATa2.HopfTQQ1fjGm-G0_vLKrNEqrrHWNoiZ_jPWX8C6Fs5imBdujYMVCxmXqa1z8cakYzfNGbLR-Odm2JYdrhaT2wQ."),
    (LOGIN, "9k2mleve.1800003600.j3GIkHnY.TW_Mt0UlTcLOCEKJ3Ruu3LRa8k6iOpcwN7gdk0RI-tjDcds1cGYCywpmh2LyL6k_j0FBrfOKTTN-V-6_AnQsBw."),
    (JOIN, "9k2mleve.1800003600.vVTsLv0s.cnF86BjwvOkl3jRRWCdZvo_TCxDhkUYi0KEA7aOSN4mkle4qKZu2p-yYqbnPU6bxV2I1Y1YeE472CwiosufTVA."),
    (JOIN_ATTRS, "9k2mleve.1800003600.-aE_PPy_.KbBd96WDaygSCmNA6Q23Ws4bvPtrRc7qrMGW6QXpscAqKfZ_4g7x0HzXMaO1m43ZN1UZGAhA39cpoqU8s1UQIA."),
    (JOIN, "9k2mleve.1800003600.NVfctqjt.4SCEgnbvUdjg9H6ZudfNBHXmbQBTkmlLNzcdM5-S2ftm1qfNsrZSfhwZ5hi0ilxFj4x3MUOMplksv2XZXFRdbQ.1"),
    (JOIN_ATTRS, "9k2mleve.1800003600.gFf8KVo9.u2t-6dHSV7gIILc9ziR7dm2S_1Qy5Eu39D3B0VLbtRjp1okUUx1KtmDcpv4bthS6KoXwYoqYgkNSGMdnIvhGzQ.1"),
    (JOIN_DEEP, "9k2mleve.1800003600.FfgM7bPU.GODMzWkXnpWzyDUeTOaK1RePi8KT1EvjU2FJFO2uU88eFqVXrvH2Ovh54qUH2-5BtWGZ286ltZU8zK7k52tL7w."),
    (JOIN_ODD, "9k2mleve.1800003600.BRMsp4Wb.hi4M0Lb3oZJ8t29m6GLReztZl_CzmXtR5tMbaPvN6dZJMhWvUxlkUc-AenZ1D8y1xZ3u7SPaiJjvFC0UloeChQ."),
    // PHP
    (NEW, "9k2mleve.1800003600.fex2ye.CTBIqtQD1hu6k9TXzlJ5qnW1PqazH6BsQBrHbLF_xC10BRmgUmnwXqECI6XdFqjC3ZWfKuTHoZqLYtGmBvD4PQ."),
    (LOGIN, "9k2mleve.1800003600.l6eusc.lCnxtoRSpupqCyrBh_ur2jNhMgbGDJjvx8hN-2ziodnj4NJMpkShzTlMq9LrHZOxmHUvoGXyz4pt1HEeXeP_Sg."),
    (JOIN, "9k2mleve.1800003600.dao51k.SOUi14bGaUccblw2f5fc29XV4ddW93l5PSnhEOEUBf8d6xn71x8J_X-9W5JIWW4_RlSjqdNG2JVRbh4NEo9w_A."),
    (JOIN_ATTRS, "9k2mleve.1800003600.kj2081.gfFJPF-W31fIso1k7Fo4XvKtj04-1TBoHdPVP37kMRshKzehEThKsRB2mUIFcjEun9inRrVxM5HedbMh1O1vKg."),
    (JOIN, "9k2mleve.1800003600.g4ggcb.ocLiDYnWrKx27NjdLsOP30B6DCvUbgcJ9kWrllOKYUBdwEVsPjSOsSevUSl6CVP1-5YuO5IVBwuQhUFREoul1w.1"),
    (JOIN_ATTRS, "9k2mleve.1800003600.wnyaia.UIh06wWq28MGUN3ozLwrutwiaMBKxNyOpDrKb-laV5Tri6EgA2w7qcdTEW_PUpYNjb37S-fvATWpqaXLyptXxQ.1"),
    (JOIN_DEEP, "9k2mleve.1800003600.e6y3jm.mMPPLvyxvB3jQb1dA0R5poYsJCebi9QEDBBkXHVcXBQq2tz8369T-Ni62_KwJUGyj1gyBXJvH6MYFnZXqVB9ow."),
    (JOIN_ODD, "9k2mleve.1800003600.r5suay.T9Nd1vq4ysvn9TGi8sVt7bdftJVFUYzpQ0UMZ6dJa1QSq0MtD0Fq5DdAN7cAc2q4hv4PTGMtg99IAKIb1hVTRQ."),
    // Java
    (NEW, "9k2mleve-1800003600-fQKFjRMB-3DK4FNdMiCBNT3yhiJjt3B+pIFPbvkG0/j2at+zaBlrNRdfKnJeRAtMZuPy1NULpwzFOCZrQ9eHWT2bMFYohMw=="),
    (LOGIN, "9k2mleve-1800003600-aNgYTm1U-A2SxH3z8oF2atsREUo9IO0/cR7sZPHMUXd2dpBroY109J42sSttpn+J2fieEMCgJ8f80EKKj6wEB5PYmFbNutw=="),
    (JOIN, "9k2mleve-1800003600-RuhxgRmC-ORFm+ESVSDdI9IEhdfm+uaXMcJKri2OXQdUp9+FGOZ86P8Dhi0ZKQ44L01ScnRJug6au8uG7ln785eG9JSSNkQ=="),
    (JOIN_ATTRS, "9k2mleve-1800003600-lZE+eruy-BDTY4iM+sM6KiaDAOSGhiIeeZdE81brroR6TcZK5mNceqt+ip/o9roiRdo3k6YHTy6K2MySrN0RfvkAE0futDg=="),
    (JOIN, "9k2mleve-1800003600-4CvSZ1vU-mMD9+qC+mLwPgYkvGUEP1TX5W3otuvErJT7MPNchDoDGPt1YcYd3ZgytLB6h7V6H8W8T6E7i4p6zkX4309WsSQ==-1"),
    (JOIN_ATTRS, "9k2mleve-1800003600-cIb2zLVB-x44wlDWnkLkC7de6FUFQcyL5DWJ4JcdKtAbAvcvm95r5kOUQxSJLHJ+ZAhr33XVwu24LXLvgiqaDHErBmaOJTw==-1"),
    (JOIN_DEEP, "9k2mleve-1800003600-xIJ828pW-yTBAg8f80rVYbKmCfIi9QQw3F7UAhjeTthNz4B98nS07rJoKhJp7COKHtqJJGd8MGcYaB0L4qyHV1yQK6iUhQg=="),
    (JOIN_ODD, "9k2mleve-1800003600-Mdx1sm6X-FHsNIDt2/7ukU1PEh/Ox+FGUHh5Voepfmkjeb7uEnvDtZbqwzhtgOZU/f3NOcT/tXP0Do9M24SdmSkAnT85PAQ=="),
];

/// Metadata in the original encoding: what is special about it, and the text.
#[rustfmt::skip]
pub(super) const SECURES: &[(&str, &str)] = &[
    // Python
    ("", "9k2mleve-qirpDdTlBz5tGBiflaCg63gB7ELSoz0RPe/cVcIQNKK6rmJKAFbUvTVffQj2rXI7xoRQPwQGDqkFNnoRgbLitvUsoAdUzezY315cWm8HMYOM2hQ2sAXwqY2AqyWLoXAQ46YyFLMYK8BScDK5o5lFe4bZAC0mSyxiqP1HJibD4sceevK3eImAcIl1VPAlMO5/oessG96iN8hlhMvu+/35FQ=="),
    ("float", "9k2mleve-02cbq31GKy10QllDfuXkdhcM9CLi5ch4aTi8pQGzulQnO4wiOQCsO48hE6tHep5XwaqPKdW6ffCF5U8h/3Pp+FZePWaBhFrR99vBm/woxeNxIJY5M6u32du2MmEA3yCuRkcxnAjfWUn7HQwK+DDhWTlo2OM8r0UhpCjb+QOEBWAipm8oxcAovQwQ/6+T3PRXfwC3dG/7CsJqtKIwDqgUBA=="),
    ("empty", "9k2mleve-3IoX/NFok2tLi0ES6XxqAfMyJElJjXQJz7RTrjnPdBtbDTWgtciopSnRYos87asbQ1EWiMPZEp3SNkD1bNrTVnk143o7mgkr036kJ3cdpkULVDLVnK935FqIudW7uHt1RlFIfRkxjCHQKdTfE3FU/MfFl4QnxfbYMGVG8vgW17w="),
    ("user", "9k2mleve-WqJgVNI9SrlLphec/Awsw+Zp5I8NkVzO4wS3vZCVlsHO9H4am5jOohlDaDbFyWmElubCJrdqwjh+T50W82DS3J9asJLIZgeEAolJP+/ZuZiQAhN2BBKe5H08LkJDiMVIknW3ZTc010wiyYwWRFzqFkuOVPcYTJcXno6EJX/I4IyUjfXUzdsHOmM4uFTbtJ7Q+xjVz/+r2IEWc3xNmQO9iYl5OHCE/F4v+VIhQWeodFelKyhAtixIouemWQw1MlCl"),
    // Node.js
    ("", "9k2mleve.PoXc9DSrWfnP1HZWY0-9xQj7iabOQgDqtjDQLOL7Mbpuq5WS406AyFsH0ybFPY16a_IDd55FPiB408pyXO4xfv_NkOI6UFFtbXlPCZFigTfko4xw66e0BD_VL-q-kxyoAzMysXep_1FsJVR8654m2qBwkkMZK-0hR8GpyoqLcZXg-gLk84iOr6E2QeYibXpC7caHq7_dqSUoGj_if63JDA"),
    ("float", "9k2mleve.BIMxJGgwjtWjijjW5RXM_ImFJ0Mw6UtzoE-lYOFi2N8g7f6aI6Okrg-CZvvUOmXJCd5Z0lZXnlOhCAl9Jc2qoLiCO3mCag1jhiT0_yRl9t7vVC8Y-Iu0FEDntonc71hxhfgizmemAqjAYgncUNrg2cOyiwGT9Igf_4JF8pBCC2BvriKjIs40yppdvSIthpihlbZKnzYI5a-mgclrQ_neyw"),
    ("user", "9k2mleve.MXYDEhgXxKR-2JSCzlq425e37zNEPqG5c32v-J9DYcJHB-J8jqdHo8Kd3FPLbmV-1_SXc3Mt6cTsRxhB2KX0JXKLj99SHFqfo8IsaPcg9skQfOdGqZ1AegQIjOvhE3K3Q3KfWj7B-c_fVmKicuVHv3ODD-PBWeUKI-BfXkeHuwsxkyoH9iHPs6P_sqNLGQxF4AqUWay0XkjfpBeJTxUk6Oy1NophbPfIXX-ATgSXN-Y"),
    // PHP
    ("", "9k2mleve.qnmI3ooMC9hJp29Im1hadMdbG822JOm0CZobrz8x3SDH-4BDDyQyGkN9QIoIhse7JgieX1TQQigpkZnALbfD3awmfiIP5NOUfFFJZ6GVx_Wvc__aL_yvMsbeSmOEgm1tcvxnq_gwqf3MXWk7PvNokFtbO2LKOfjNL1PnjEFCNfF0hRA6R3GMH75YJCUyKFVIsgtevNYrQaHyfjVKh1Ow-g"),
    ("float", "9k2mleve.jg2Wgpy5ElWiVpu6_dtZrdFX0G3bDUHmxjeoVs624omXxJN_4ETK51CL5coOSSirxlVegTdvzF7eTCm3CFNHts05Zgh9V8UwNa4kkWy4tjEZXVmMAdzWcCbjBKoI53DEVXj8wzB-9W28xTAGXP2XNi3yb6vTLPwYZ7DsAyWklFWCXA49PhGgUOG3LDLuBbK0GusLA4ZtpzlXEz96PSsKAQ"),
    ("empty", "9k2mleve.ecfx-sifpcVhZUJe_KxSCL4SY2ws7-SecWH6p0W6Z3x9GZRFUUFkF5cgo49reDjcsawOVv1L-FiA6-P35eWY_l6egRWWgSt2M9EpWZAQEjzn22wk5875ErH57U707Gt0c8cRdl8c0t_oMI38vSWeyIARUlWERHPENSizLyEFhhY"),
    ("user", "9k2mleve.JMONlbiTyepDWU3ebXjkfXe8AW6O0VFlIZpHAExQj0bdRAG-Zz6wc6GiSwqD0cjxe8elsqqr5DVmbIUYH0Lf-fg7OIHwJXYy8hgtHX-kRzHNrKA4FQ4zYzyXLZXitCGzHd9P65aDULXikAP6jgP8X9_ajPZHrqQWIBki6X4RY1GSLWQl2Pz_CgWl85kzu1sv4LJWJkEx6TrxtVJJ_WrVASAZ-eKLiF2WAULitZH6ho2IweOHinAvsCwK_G57ixj_"),
    // Java
    ("", "9k2mleve-p1B6hM/0YcJzUF+20h+1ZTFN7WVa7RrObu3875PNL2iniI2VjU+XA7MBV4e3yH2zLAzX1ywR8yjLEd8bcUvKhnO6pBHaE+voVY3+Vai2Gj3SwG/HVd/DjIVsj/yrDlK7VJGWki8ARy8704ujz2qqXzGsj+7YjBhCnqTZ7QjURSC0hVoUHK+4DRQSqSXTQ5fvClqH0m8fAg3oTRGKTL2AwQ=="),
    ("float", "9k2mleve-jy6INiki2WYFyQkbYT8ffnLgJvBszvEXgogvh1Q6+0XX2m2IKFHNxgK2vFhV89ia12eH929RL47RzykIM9mSMQG2IGuQlrxiN6gaQMhxvT4NcZWF6Jlc/fPu8mSu4yJEITNgv1XHJFGypZPi7c3MluhGTbuJbhlYPZ0xIUgTF05zW+objrzu/gKvGknf26/NphT/BM9zxxdM3kz5JclV4g=="),
    ("user", "9k2mleve-0VypQYiQdy5pxYpZ6x3bOMJ4o/ot9CIfo1tFI5a9lz64EHEPM8HI8qpoIdl6LTuLiG4Wv0CLZa3BQkadHBP/z5jFXr7+ZNQtW5ZGjq1na3nogMXolvqRETRUSeKlirE5eWbxS9cj8BT2nLHiYkctffCxIRkYdhEEv3gC4vzFY9vjfXXB4hjJ0exxYtroxDCjOSKPQ9iKLZ36Yw37e2wgpJuG7por6dt7XSAo2aTFYv0="),
];

/// Metadata in a token.
#[rustfmt::skip]
pub(super) const JWE: &str = "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoibGV2ZWUtand0In0.._EAJ7KREdMbFdQo7.UBtVo_wnSSsLCXh0sY9X7X3vGd8Vtp-6b-h1p6yibm01_FqPlyOtjN-gvSwlDFHXQ01LLP2TLsPIU6syC1Hw4vidxaGhIte3tDhKOxjkZWiEURqgbA.Bq8AiS58tjV60pvlymD-JQ";

/// The same with the name "Bob".
#[rustfmt::skip]
pub(super) const JWE_NAME: &str = "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIiwia2lkIjoibGV2ZWUtand0In0..fTk8-0xB_ndXd6I4.F5MFeqMCKNZ_qgvlDggkCtuAyYxSD3e7OQQSfZPf-gufXM5Ts8y03Fr3Q42nCt1TX56FoAO8ei5Md4AltgI3HP7q88Ganoow_vF_MtWlEaUYpLBZXaSrQctdC37OGJ_Tw75MTBZ82OxVq4n9liFvPA.q3DsHQzqqGIgA4e4623cwg";

/// A token of the subject "crm/17".
#[rustfmt::skip]
pub(super) const AUTHENTICATION: &str = "eyJhbGciOiJIUzI1NiIsImtpZCI6ImxldmVlLWp3dCIsInR5cCI6IkpXVCJ9.eyJleHAiOjE4MDAwMDM2MDAsInN1YiI6ImNybS8xNyJ9.AZ_sumzrF9EZddfOib-Nx6geNksE8JVooBv3GDaylDU";

/// The same with the name "Päivi".
#[rustfmt::skip]
pub(super) const AUTHENTICATION_NAME: &str = "eyJhbGciOiJIUzI1NiIsImtpZCI6ImxldmVlLWp3dCIsInR5cCI6IkpXVCJ9.eyJleHAiOjE4MDAwMDM2MDAsInN1YiI6ImNybS8xNyIsInByZWZlcnJlZF91c2VybmFtZSI6IlBcdTAwZTRpdmkifQ.AI4cbA2Zw-rB1OXFTpFIQ5ydhI_PyM3zcUqX-Ny_c8k";

/// A token for the channels "1bfbr0u" and "1bfbr0v".
#[rustfmt::skip]
pub(super) const SCOPES: &str = "eyJhbGciOiJIUzI1NiIsImtpZCI6ImxldmVlLWp3dCIsInR5cCI6IkpXVCJ9.eyJleHAiOjE4MDAwMDM2MDAsInNjb3BlcyI6WyJjaGFubmVsOjFiZmJyMHUiLCJjaGFubmVsOjFiZmJyMHYiXX0.MZJDba5k0qPrq33WA0YLLE1mk8GEX32QUnDpi7bt2BA";

/// A token of the subject "crm/17", also for the channel "1bfbr0u".
#[rustfmt::skip]
pub(super) const BOTH: &str = "eyJhbGciOiJIUzI1NiIsImtpZCI6ImxldmVlLWp3dCIsInR5cCI6IkpXVCJ9.eyJleHAiOjE4MDAwMDM2MDAsInN1YiI6ImNybS8xNyIsInNjb3BlcyI6WyJjaGFubmVsOjFiZmJyMHUiXX0.GAcaS-qTJYHWY0mVfVRodwGyOsOd6cCwrcjmrUQHkfQ";
