/* The ladders of RFC 9177, section 10 and appendix A. Options are as the
 * transcript shows them, not the RFC's columns: q1 is QB1, q2 is QB2, etag is ET,
 * obs is O; tokens are test_qblock.c's matter. Each body is one of 1024 bytes a
 * block. Times are ms; the RFC's "..." is the wait that it names. */
#include "bodies.h"
#include "net/sim.h"

#define PATH "coap://server/path"

/* clang-format off */
static const char STRANGER[] =
    "   0 client > server CON GET 0001 /.well-known/core q2:0/0/16\n"
    "   0 server > client ACK 2.05 0001 q2:0/1/16 etag=3d396174 \"</.well-known/co\"\n"
    "   0 client > server NON PUT 0002 /path q1:0/1/1024 (1024 bytes)\n"
    "   0 client > server NON PUT 0003 /path q1:1/0/1024 (1024 bytes)\n"
    "   0 server > client NON 2.04 0001\n";

static const char FIGURE_2[] =
    "1000 client > server NON PUT 0004 /path q1:0/1/1024 (1024 bytes)\n"
    "1000 client > server NON PUT 0005 /path q1:1/1/1024 (1024 bytes)\n"
    "1000 client > server NON PUT 0006 /path q1:2/1/1024 (1024 bytes)\n"
    "1000 client > server NON PUT 0007 /path q1:3/0/1024 (1024 bytes)\n"
    "1000 server > client NON 2.04 0003\n";

static const char FIGURE_3[] =
    "1000 client > server NON PUT 0004 /path q1:0/1/1024 (1024 bytes)\n"
    "1000 client > server NON PUT 0005 /path q1:1/1/1024 (1024 bytes)\n"
    "1000 client > server NON PUT 0006 /path q1:2/1/1024 (1024 bytes)\n"
    "1000 client > server NON PUT 0007 /path q1:3/1/1024 (1024 bytes)\n"
    "1000 client > server NON PUT 0008 /path q1:4/1/1024 (1024 bytes)\n"
    "1000 client > server NON PUT 0009 /path q1:5/1/1024 (1024 bytes)\n"
    "1000 client > server NON PUT 000a /path q1:6/1/1024 (1024 bytes)\n"
    "1000 client > server NON PUT 000b /path q1:7/1/1024 (1024 bytes)\n"
    "1000 client > server NON PUT 000c /path q1:8/1/1024 (1024 bytes)\n"
    "1000 client > server NON PUT 000d /path q1:9/1/1024 (1024 bytes)\n"
    "1000 server > client NON 2.31 0003 q1:9/1/1024\n"
    "1000 client > server NON PUT 000e /path q1:10/0/1024 (1024 bytes)\n"
    "1000 server > client NON 2.04 0004\n";

static const char FIGURE_4_5[] =
    "1000 client > server NON PUT 0004 /path q1:0/1/1024 (1024 bytes)\n"
    "1000 client > server NON PUT 0005 /path q1:1/1/1024 (1024 bytes) (lost)\n"
    "1000 client > server NON PUT 0006 /path q1:2/1/1024 (1024 bytes)\n"
    "1000 client > server NON PUT 0007 /path q1:3/1/1024 (1024 bytes)\n"
    "1000 client > server NON PUT 0008 /path q1:4/1/1024 (1024 bytes)\n"
    "1000 client > server NON PUT 0009 /path q1:5/1/1024 (1024 bytes)\n"
    "1000 client > server NON PUT 000a /path q1:6/1/1024 (1024 bytes)\n"
    "1000 client > server NON PUT 000b /path q1:7/1/1024 (1024 bytes)\n"
    "1000 client > server NON PUT 000c /path q1:8/1/1024 (1024 bytes)\n"
    "1000 client > server NON PUT 000d /path q1:9/1/1024 (1024 bytes) (lost)\n"
    "3000 client > server NON PUT 000e /path q1:10/1/1024 (1024 bytes) (lost)\n"
    "3000 client > server NON PUT 000f /path q1:11/1/1024 (1024 bytes)\n"
    "3000 client > server NON PUT 0010 /path q1:12/0/1024 (1024 bytes)\n"
    "3000 server > client NON 4.08 0003 missing 1,9\n"
    "3000 client > server NON PUT 0011 /path q1:1/1/1024 (1024 bytes)\n"
    "3000 client > server NON PUT 0012 /path q1:9/1/1024 (1024 bytes)\n"
    "7000 server > client NON 4.08 0004 missing 10\n"
    "7000 client > server NON PUT 0013 /path q1:10/1/1024 (1024 bytes)\n"
    "7000 server > client NON 2.04 0005\n";

static const char FIGURE_6[] =
    "1000 client > server NON PUT 0004 /path q1:0/1/1024 (1024 bytes)\n"
    "1000 client > server NON PUT 0005 /path q1:1/1/1024 (1024 bytes) (lost)\n"
    "1000 client > server NON PUT 0006 /path q1:2/0/1024 (1024 bytes)\n"
    "5000 server > client NON 4.08 0003 missing 1\n"
    "5000 client > server NON PUT 0007 /path q1:1/1/1024 (1024 bytes) (lost)\n"
    "13000 server > client NON 4.08 0004 missing 1\n"
    "13000 client > server NON PUT 0008 /path q1:1/1/1024 (1024 bytes) (lost)\n"
    "29000 server > client NON 4.08 0005 missing 1\n"
    "29000 client > server NON PUT 0009 /path q1:1/1/1024 (1024 bytes) (lost)\n"
    "61000 server > client NON 4.08 0006 missing 1\n"
    "61000 client > server NON PUT 000a /path q1:1/1/1024 (1024 bytes) (lost)\n";

static const char FIGURE_7[] =
    "1000 client > server NON GET 0004 /path obs=0 q2:0/1/1024\n"
    "1000 server > client NON 2.05 0003 obs q2:0/1/1024 etag=b2cc4b2e (1024 bytes)\n"
    "1000 server > client NON 2.05 0004 obs q2:1/1/1024 etag=b2cc4b2e (1024 bytes)\n"
    "1000 server > client NON 2.05 0005 obs q2:2/1/1024 etag=b2cc4b2e (1024 bytes)\n"
    "1000 server > client NON 2.05 0006 obs q2:3/0/1024 etag=b2cc4b2e (1024 bytes)\n"
    "2000 server > client NON 2.05 0007 obs q2:0/1/1024 etag=7444e5ba (1024 bytes)\n"
    "2000 server > client NON 2.05 0008 obs q2:1/1/1024 etag=7444e5ba (1024 bytes)\n"
    "2000 server > client NON 2.05 0009 obs q2:2/1/1024 etag=7444e5ba (1024 bytes)\n"
    "2000 server > client NON 2.05 000a obs q2:3/0/1024 etag=7444e5ba (1024 bytes)\n";

static const char FIGURE_8[] =
    "1000 client > server NON GET 0004 /path obs=0 q2:0/1/1024\n"
    "1000 server > client NON 2.05 0003 obs q2:0/1/1024 etag=d134b57f (1024 bytes)\n"
    "1000 server > client NON 2.05 0004 obs q2:1/1/1024 etag=d134b57f (1024 bytes)\n"
    "1000 server > client NON 2.05 0005 obs q2:2/1/1024 etag=d134b57f (1024 bytes)\n"
    "1000 server > client NON 2.05 0006 obs q2:3/1/1024 etag=d134b57f (1024 bytes)\n"
    "1000 server > client NON 2.05 0007 obs q2:4/1/1024 etag=d134b57f (1024 bytes)\n"
    "1000 server > client NON 2.05 0008 obs q2:5/1/1024 etag=d134b57f (1024 bytes)\n"
    "1000 server > client NON 2.05 0009 obs q2:6/1/1024 etag=d134b57f (1024 bytes)\n"
    "1000 server > client NON 2.05 000a obs q2:7/1/1024 etag=d134b57f (1024 bytes)\n"
    "1000 server > client NON 2.05 000b obs q2:8/1/1024 etag=d134b57f (1024 bytes)\n"
    "1000 server > client NON 2.05 000c obs q2:9/1/1024 etag=d134b57f (1024 bytes)\n"
    "1000 client > server NON GET 0005 /path q2:10/1/1024\n"
    "1000 server > client NON 2.05 000d obs q2:10/0/1024 etag=d134b57f (1024 bytes)\n"
    "2000 server > client NON 2.05 000e obs q2:0/1/1024 etag=d204eaaf (1024 bytes)\n"
    "2000 server > client NON 2.05 000f obs q2:1/1/1024 etag=d204eaaf (1024 bytes)\n"
    "2000 server > client NON 2.05 0010 obs q2:2/1/1024 etag=d204eaaf (1024 bytes)\n"
    "2000 server > client NON 2.05 0011 obs q2:3/1/1024 etag=d204eaaf (1024 bytes)\n"
    "2000 server > client NON 2.05 0012 obs q2:4/1/1024 etag=d204eaaf (1024 bytes)\n"
    "2000 server > client NON 2.05 0013 obs q2:5/1/1024 etag=d204eaaf (1024 bytes)\n"
    "2000 server > client NON 2.05 0014 obs q2:6/1/1024 etag=d204eaaf (1024 bytes)\n"
    "2000 server > client NON 2.05 0015 obs q2:7/1/1024 etag=d204eaaf (1024 bytes)\n"
    "2000 server > client NON 2.05 0016 obs q2:8/1/1024 etag=d204eaaf (1024 bytes)\n"
    "2000 server > client NON 2.05 0017 obs q2:9/1/1024 etag=d204eaaf (1024 bytes)\n"
    "2000 client > server NON GET 0006 /path q2:10/1/1024\n"
    "2000 server > client NON 2.05 0018 obs q2:10/0/1024 etag=d204eaaf (1024 bytes)\n";

static const char FIGURE_9[] =
    "10000 server > client NON 2.05 000e obs q2:0/1/1024 etag=d204eaaf (1024 bytes)\n"
    "10000 server > client NON 2.05 000f obs q2:1/1/1024 etag=d204eaaf (1024 bytes) (lost)\n"
    "10000 server > client NON 2.05 0010 obs q2:2/1/1024 etag=d204eaaf (1024 bytes)\n"
    "10000 server > client NON 2.05 0011 obs q2:3/1/1024 etag=d204eaaf (1024 bytes)\n"
    "10000 server > client NON 2.05 0012 obs q2:4/1/1024 etag=d204eaaf (1024 bytes)\n"
    "10000 server > client NON 2.05 0013 obs q2:5/1/1024 etag=d204eaaf (1024 bytes)\n"
    "10000 server > client NON 2.05 0014 obs q2:6/1/1024 etag=d204eaaf (1024 bytes)\n"
    "10000 server > client NON 2.05 0015 obs q2:7/1/1024 etag=d204eaaf (1024 bytes)\n"
    "10000 server > client NON 2.05 0016 obs q2:8/1/1024 etag=d204eaaf (1024 bytes)\n"
    "10000 server > client NON 2.05 0017 obs q2:9/1/1024 etag=d204eaaf (1024 bytes) (lost)\n"
    "12000 server > client NON 2.05 0018 obs q2:10/0/1024 etag=d204eaaf (1024 bytes)\n"
    "12000 client > server NON GET 0006 /path q2:1/0/1024 q2:9/0/1024\n"
    "12000 server > client NON 2.05 0019 q2:1/1/1024 etag=d204eaaf (1024 bytes) (lost)\n"
    "12000 server > client NON 2.05 001a q2:9/1/1024 etag=d204eaaf (1024 bytes)\n"
    "16000 client > server NON GET 0007 /path q2:1/0/1024\n"
    "16000 server > client NON 2.05 001b q2:1/1/1024 etag=d204eaaf (1024 bytes)\n";

static const char FIGURE_10[] =
    "10000 server > client NON 2.05 000e obs q2:0/1/1024 etag=d204eaaf (1024 bytes)\n"
    "10000 server > client NON 2.05 000f obs q2:1/1/1024 etag=d204eaaf (1024 bytes)\n"
    "10000 server > client NON 2.05 0010 obs q2:2/1/1024 etag=d204eaaf (1024 bytes) (lost)\n"
    "10000 server > client NON 2.05 0011 obs q2:3/1/1024 etag=d204eaaf (1024 bytes) (lost)\n"
    "10000 server > client NON 2.05 0012 obs q2:4/1/1024 etag=d204eaaf (1024 bytes) (lost)\n"
    "10000 server > client NON 2.05 0013 obs q2:5/1/1024 etag=d204eaaf (1024 bytes) (lost)\n"
    "10000 server > client NON 2.05 0014 obs q2:6/1/1024 etag=d204eaaf (1024 bytes) (lost)\n"
    "10000 server > client NON 2.05 0015 obs q2:7/1/1024 etag=d204eaaf (1024 bytes) (lost)\n"
    "10000 server > client NON 2.05 0016 obs q2:8/1/1024 etag=d204eaaf (1024 bytes) (lost)\n"
    "10000 server > client NON 2.05 0017 obs q2:9/1/1024 etag=d204eaaf (1024 bytes) (lost)\n"
    "12000 server > client NON 2.05 0018 obs q2:10/0/1024 etag=d204eaaf (1024 bytes) (lost)\n"
    "14000 client > server NON GET 0006 /path q2:2/1/1024\n"
    "14000 server > client NON 2.05 0019 q2:2/1/1024 etag=d204eaaf (1024 bytes)\n"
    "14000 server > client NON 2.05 001a q2:3/1/1024 etag=d204eaaf (1024 bytes)\n"
    "14000 server > client NON 2.05 001b q2:4/1/1024 etag=d204eaaf (1024 bytes)\n"
    "14000 server > client NON 2.05 001c q2:5/1/1024 etag=d204eaaf (1024 bytes)\n"
    "14000 server > client NON 2.05 001d q2:6/1/1024 etag=d204eaaf (1024 bytes)\n"
    "14000 server > client NON 2.05 001e q2:7/1/1024 etag=d204eaaf (1024 bytes)\n"
    "14000 server > client NON 2.05 001f q2:8/1/1024 etag=d204eaaf (1024 bytes)\n"
    "14000 server > client NON 2.05 0020 q2:9/1/1024 etag=d204eaaf (1024 bytes)\n"
    "14000 client > server NON GET 0007 /path q2:10/1/1024\n"
    "14000 server > client NON 2.05 0021 obs q2:10/0/1024 etag=d204eaaf (1024 bytes)\n";

static const char FIGURE_11[] =
    "1000 client > server NON FETCH 0004 /path obs=0 q1:0/1/1024 (1024 bytes)\n"
    "1000 client > server NON FETCH 0005 /path obs=0 q1:1/1/1024 (1024 bytes)\n"
    "1000 client > server NON FETCH 0006 /path obs=0 q1:2/0/1024 (1024 bytes)\n"
    "1000 server > client NON 2.05 0003 obs q2:0/1/1024 etag=b2cc4b2e (1024 bytes)\n"
    "1000 server > client NON 2.05 0004 obs q2:1/1/1024 etag=b2cc4b2e (1024 bytes)\n"
    "1000 server > client NON 2.05 0005 obs q2:2/1/1024 etag=b2cc4b2e (1024 bytes)\n"
    "1000 server > client NON 2.05 0006 obs q2:3/0/1024 etag=b2cc4b2e (1024 bytes)\n"
    "2000 server > client NON 2.05 0007 obs q2:0/1/1024 etag=7444e5ba (1024 bytes)\n"
    "2000 server > client NON 2.05 0008 obs q2:1/1/1024 etag=7444e5ba (1024 bytes)\n"
    "2000 server > client NON 2.05 0009 obs q2:2/1/1024 etag=7444e5ba (1024 bytes)\n"
    "2000 server > client NON 2.05 000a obs q2:3/0/1024 etag=7444e5ba (1024 bytes)\n";

static const char FIGURE_12[] =
    "1000 client > server NON FETCH 0004 /path obs=0 q1:0/1/1024 (1024 bytes)\n"
    "1000 client > server NON FETCH 0005 /path obs=0 q1:1/1/1024 (1024 bytes)\n"
    "1000 client > server NON FETCH 0006 /path obs=0 q1:2/1/1024 (1024 bytes)\n"
    "1000 client > server NON FETCH 0007 /path obs=0 q1:3/1/1024 (1024 bytes)\n"
    "1000 client > server NON FETCH 0008 /path obs=0 q1:4/1/1024 (1024 bytes)\n"
    "1000 client > server NON FETCH 0009 /path obs=0 q1:5/1/1024 (1024 bytes)\n"
    "1000 client > server NON FETCH 000a /path obs=0 q1:6/1/1024 (1024 bytes)\n"
    "1000 client > server NON FETCH 000b /path obs=0 q1:7/1/1024 (1024 bytes)\n"
    "1000 client > server NON FETCH 000c /path obs=0 q1:8/1/1024 (1024 bytes)\n"
    "1000 client > server NON FETCH 000d /path obs=0 q1:9/1/1024 (1024 bytes)\n"
    "1000 server > client NON 2.31 0003 q1:9/1/1024\n"
    "1000 client > server NON FETCH 000e /path obs=0 q1:10/0/1024 (1024 bytes)\n"
    "1000 server > client NON 2.05 0004 obs q2:0/1/1024 etag=d134b57f (1024 bytes)\n"
    "1000 server > client NON 2.05 0005 obs q2:1/1/1024 etag=d134b57f (1024 bytes)\n"
    "1000 server > client NON 2.05 0006 obs q2:2/1/1024 etag=d134b57f (1024 bytes)\n"
    "1000 server > client NON 2.05 0007 obs q2:3/1/1024 etag=d134b57f (1024 bytes)\n"
    "1000 server > client NON 2.05 0008 obs q2:4/1/1024 etag=d134b57f (1024 bytes)\n"
    "1000 server > client NON 2.05 0009 obs q2:5/1/1024 etag=d134b57f (1024 bytes)\n"
    "1000 server > client NON 2.05 000a obs q2:6/1/1024 etag=d134b57f (1024 bytes)\n"
    "1000 server > client NON 2.05 000b obs q2:7/1/1024 etag=d134b57f (1024 bytes)\n"
    "1000 server > client NON 2.05 000c obs q2:8/1/1024 etag=d134b57f (1024 bytes)\n"
    "1000 server > client NON 2.05 000d obs q2:9/1/1024 etag=d134b57f (1024 bytes)\n"
    "1000 client > server NON FETCH 000f /path q2:10/1/1024\n"
    "1000 server > client NON 2.05 000e obs q2:10/0/1024 etag=d134b57f (1024 bytes)\n"
    "2000 server > client NON 2.05 000f obs q2:0/1/1024 etag=d204eaaf (1024 bytes)\n"
    "2000 server > client NON 2.05 0010 obs q2:1/1/1024 etag=d204eaaf (1024 bytes)\n"
    "2000 server > client NON 2.05 0011 obs q2:2/1/1024 etag=d204eaaf (1024 bytes)\n"
    "2000 server > client NON 2.05 0012 obs q2:3/1/1024 etag=d204eaaf (1024 bytes)\n"
    "2000 server > client NON 2.05 0013 obs q2:4/1/1024 etag=d204eaaf (1024 bytes)\n"
    "2000 server > client NON 2.05 0014 obs q2:5/1/1024 etag=d204eaaf (1024 bytes)\n"
    "2000 server > client NON 2.05 0015 obs q2:6/1/1024 etag=d204eaaf (1024 bytes)\n"
    "2000 server > client NON 2.05 0016 obs q2:7/1/1024 etag=d204eaaf (1024 bytes)\n"
    "2000 server > client NON 2.05 0017 obs q2:8/1/1024 etag=d204eaaf (1024 bytes)\n"
    "2000 server > client NON 2.05 0018 obs q2:9/1/1024 etag=d204eaaf (1024 bytes)\n"
    "2000 client > server NON FETCH 0010 /path q2:10/1/1024\n"
    "2000 server > client NON 2.05 0019 obs q2:10/0/1024 etag=d204eaaf (1024 bytes)\n";

static const char FIGURE_13_15[] =
    "1000 client > server NON FETCH 0004 /path obs=0 q1:0/1/1024 (1024 bytes)\n"
    "1000 client > server NON FETCH 0005 /path obs=0 q1:1/1/1024 (1024 bytes) (lost)\n"
    "1000 client > server NON FETCH 0006 /path obs=0 q1:2/1/1024 (1024 bytes) (lost)\n"
    "1000 client > server NON FETCH 0007 /path obs=0 q1:3/0/1024 (1024 bytes)\n"
    "5000 server > client NON 4.08 0003 missing 1,2\n"
    "5000 client > server NON FETCH 0008 /path obs=0 q1:1/1/1024 (1024 bytes)\n"
    "5000 client > server NON FETCH 0009 /path obs=0 q1:2/1/1024 (1024 bytes)\n"
    "5000 server > client NON 2.05 0004 obs q2:0/1/1024 etag=b2cc4b2e (1024 bytes)\n"
    "5000 server > client NON 2.05 0005 obs q2:1/1/1024 etag=b2cc4b2e (1024 bytes) (lost)\n"
    "5000 server > client NON 2.05 0006 obs q2:2/1/1024 etag=b2cc4b2e (1024 bytes)\n"
    "5000 server > client NON 2.05 0007 obs q2:3/0/1024 etag=b2cc4b2e (1024 bytes) (lost)\n"
    "9000 client > server NON FETCH 000a /path q2:1/0/1024 q2:3/0/1024\n"
    "9000 server > client NON 2.05 0008 q2:1/1/1024 etag=b2cc4b2e (1024 bytes) (lost)\n"
    "9000 server > client NON 2.05 0009 q2:3/0/1024 etag=b2cc4b2e (1024 bytes)\n"
    "13000 client > server NON FETCH 000b /path q2:1/0/1024\n"
    "13000 server > client NON 2.05 000a q2:1/1/1024 etag=b2cc4b2e (1024 bytes)\n"
    "21000 server > client NON 2.05 000b obs q2:0/1/1024 etag=b569fdf1 (1024 bytes)\n"
    "21000 server > client NON 2.05 000c obs q2:1/1/1024 etag=b569fdf1 (1024 bytes) (lost)\n"
    "21000 server > client NON 2.05 000d obs q2:2/0/1024 etag=b569fdf1 (1024 bytes)\n"
    "25000 client > server NON FETCH 000c /path q2:1/0/1024\n"
    "25000 server > client NON 2.05 000e q2:1/1/1024 etag=b569fdf1 (1024 bytes)\n";

static const char FIGURE_16[] =
    "1000 client > server CON PUT 0004 /path q1:0/1/1024 (1024 bytes)\n"
    "1000 client > server CON PUT 0005 /path q1:1/1/1024 (1024 bytes)\n"
    "1000 client > server CON PUT 0006 /path q1:2/1/1024 (1024 bytes)\n"
    "1000 server > client ACK empty 0004\n"
    "1000 server > client ACK empty 0005\n"
    "1000 server > client ACK empty 0006\n"
    "1000 client > server CON PUT 0007 /path q1:3/0/1024 (1024 bytes)\n"
    "1000 server > client ACK 2.04 0007\n";

static const char FIGURE_17[] =
    "1000 client > server CON PUT 0004 /path q1:0/1/1024 (1024 bytes)\n"
    "1000 client > server CON PUT 0005 /path q1:1/1/1024 (1024 bytes) (lost)\n"
    "1000 client > server CON PUT 0006 /path q1:2/1/1024 (1024 bytes) (lost)\n"
    "1000 server > client ACK empty 0004\n"
    "1000 client > server CON PUT 0007 /path q1:3/1/1024 (1024 bytes)\n"
    "1000 server > client ACK empty 0007\n"
    "1000 client > server CON PUT 0008 /path q1:4/0/1024 (1024 bytes)\n"
    "1000 server > client ACK empty 0008\n"
    "3000 client > server CON PUT 0005 /path q1:1/1/1024 (1024 bytes) (lost)\n"
    "3000 client > server CON PUT 0006 /path q1:2/1/1024 (1024 bytes) (lost)\n"
    "7000 client > server CON PUT 0005 /path q1:1/1/1024 (1024 bytes)\n"
    "7000 client > server CON PUT 0006 /path q1:2/1/1024 (1024 bytes)\n"
    "7000 server > client ACK empty 0005\n"
    "7000 server > client ACK 2.04 0006\n";

static const char FIGURE_18[] =
    "1000 client > server CON GET 0004 /path obs=0 q2:0/1/1024\n"
    "1000 server > client ACK 2.05 0004 obs q2:0/1/1024 etag=b2cc4b2e (1024 bytes)\n"
    "1000 server > client CON 2.05 0003 obs q2:1/1/1024 etag=b2cc4b2e (1024 bytes)\n"
    "1000 client > server ACK empty 0003\n"
    "1000 server > client CON 2.05 0004 obs q2:2/1/1024 etag=b2cc4b2e (1024 bytes)\n"
    "1000 client > server ACK empty 0004\n"
    "1000 server > client CON 2.05 0005 obs q2:3/0/1024 etag=b2cc4b2e (1024 bytes)\n"
    "1000 client > server ACK empty 0005\n"
    "2000 server > client CON 2.05 0006 obs q2:0/1/1024 etag=7444e5ba (1024 bytes)\n"
    "2000 client > server ACK empty 0006\n"
    "2000 server > client CON 2.05 0007 obs q2:1/1/1024 etag=7444e5ba (1024 bytes)\n"
    "2000 client > server ACK empty 0007\n"
    "2000 server > client CON 2.05 0008 obs q2:2/1/1024 etag=7444e5ba (1024 bytes)\n"
    "2000 client > server ACK empty 0008\n"
    "2000 server > client CON 2.05 0009 obs q2:3/0/1024 etag=7444e5ba (1024 bytes)\n"
    "2000 client > server ACK empty 0009\n"
    "3000 server > client CON 2.05 000a obs q2:0/1/1024 etag=f470c0a5 (1024 bytes)\n"
    "3000 client > server ACK empty 000a\n"
    "3000 server > client CON 2.05 000b obs q2:1/1/1024 etag=f470c0a5 (1024 bytes) (lost)\n"
    "5000 server > client CON 2.05 000b obs q2:1/1/1024 etag=f470c0a5 (1024 bytes)\n"
    "5000 client > server ACK empty 000b\n"
    "5000 server > client CON 2.05 000c obs q2:2/1/1024 etag=f470c0a5 (1024 bytes)\n"
    "5000 client > server ACK empty 000c\n"
    "5000 server > client CON 2.05 000d obs q2:3/0/1024 etag=f470c0a5 (1024 bytes)\n"
    "5000 client > server ACK empty 000d\n";

/* clang-format on */

static struct party *served;

static void speak_qblock(struct world *w)
{
    copal_tune(w->client, NULL, COPAL_P_Q_BLOCK, 1);
    copal_tune(w->server, NULL, COPAL_P_Q_BLOCK, 1);
}

static struct party *serve(struct world *w, int method, int answer,
                           size_t blocks)
{
    struct party *p =
        serve_body(w, method, "/path", COPAL_OBSERVABLE, blocks * 1024);

    p->answer = answer;
    return p;
}

/* Request-Tags begin anywhere: here it only counts that each body has one. */
static char *without_tags(const char *text)
{
    static char out[1 << 16];
    size_t n = 0;

    while (*text != '\0') {
        if (strncmp(text, " tag=", 5) == 0) {
            assert_int_equal(strspn(text + 5, "0123456789abcdef"), 8);
            text += 13;
        } else {
            assert_true(n + 1 < sizeof(out));
            out[n++] = *text++;
        }
    }
    out[n] = '\0';
    return out;
}

static void assert_ladder(struct world *w, const char *expected)
{
    assert_string_equal(without_tags(copal_sim_transcript(w->sim)), expected);
}

/* What came before is another figure's. */
static void begin_ladder(struct world *w)
{
    copal_sim_keep(w->sim, 0);
    copal_sim_keep(w->sim, 1 << 20);
}

static struct party *ask_non(struct world *w, int code, size_t blocks,
                             bool observes)
{
    copal_msg *m = request_of(w, code, PATH, blocks * 1024);

    copal_msg_set_flags(m, COPAL_NON);
    if (observes)
        copal_msg_add_uint(m, COPAL_OPT_OBSERVE, 0);
    return send_request(w, m);
}

/* The server is known to speak Q-Block: section 10 does not draw how that was
 * found out. */
static void meet(struct world *w)
{
    struct party *p;

    speak_qblock(w);
    p = ask_non(w, COPAL_DELETE, 0, false);
    copal_sim_run(w->sim, 1);
    assert_int_equal(p->ends, 1);
    p = ask_non(w, COPAL_POST, 0, false);
    copal_sim_run(w->sim, 999);
    assert_int_equal(p->ends, 1);
    begin_ladder(w);
}

static struct party *put(struct world *w, size_t blocks, const char *losses)
{
    meet(w);
    served = serve(w, COPAL_PUT, COPAL_CHANGED, 0);
    cp_sim_lose_some(w->sim, "client", losses);
    return ask_non(w, COPAL_PUT, blocks, false);
}

/* An observation of a body of blocks, of which the first state came. */
static struct party *observe_blocks(struct world *w, size_t blocks)
{
    struct party *p;

    meet(w);
    served = serve(w, COPAL_GET, 0, blocks);
    p = ask_non(w, COPAL_GET, 0, true);
    copal_sim_run(w->sim, 9000);
    assert_body(p, blocks * 1024, 1);
    return p;
}

static void change(struct world *w, const char *losses)
{
    served->version++;
    cp_sim_lose_some(w->sim, "server", losses);
    copal_notify(w->server, "/path");
}

/* ---- 4.1 ---- */

/* The test of RFC 9177 4.1, confirmable, then the request. */
static void a_stranger_is_asked_confirmably_first(void **state)
{
    struct world *w = *state;
    struct party *p;

    speak_qblock(w);
    served = serve(w, COPAL_PUT, COPAL_CHANGED, 0);
    p = ask_non(w, COPAL_PUT, 2, false);
    copal_sim_run(w->sim, 1000);
    assert_ladder(w, STRANGER);
    assert_int_equal(p->status, 0);
    assert_body(served, 2048, 1);
}

/* ---- 10.1: Q-Block1 ---- */

static void figure_2_a_simple_example(void **state)
{
    struct world *w = *state;
    struct party *p = put(w, 4, "");

    copal_sim_run(w->sim, 1000);
    assert_ladder(w, FIGURE_2);
    assert_int_equal(p->status, 0);
    assert_body(served, 4096, 1);
}

static void figure_3_more_than_max_payloads(void **state)
{
    struct world *w = *state;
    struct party *p = put(w, 11, "");

    copal_sim_run(w->sim, 1000);
    assert_ladder(w, FIGURE_3);
    assert_int_equal(p->status, 0);
    assert_body(served, 11264, 1);
}

/* The RFC draws block 12 behind the blocks asked for again, as if it had been
 * held back; all of a set leaves at once here. */
static void figures_4_and_5_recovery(void **state)
{
    struct world *w = *state;
    struct party *p = put(w, 13, ".x.......xx");

    copal_sim_run(w->sim, 10000);
    assert_ladder(w, FIGURE_4_5);
    assert_int_equal(p->status, 0);
    assert_body(served, 13312, 1);
    assert_int_equal(served->requests, 1);
}

/* The RFC's client is silent when asked; ours sends, and that is lost. */
static void figure_6_recovery_that_fails(void **state)
{
    struct world *w = *state;
    struct party *p = put(w, 3, ".x.xxxx");

    copal_sim_run(w->sim, 250000);
    assert_ladder(w, FIGURE_6);
    assert_int_equal(p->status, COPAL_ETIMEOUT);
    assert_int_equal(served->requests, 0);
}

/* ---- 10.2: Q-Block2 ---- */

static void figure_7_a_simple_example(void **state)
{
    struct world *w = *state;
    struct party *p;

    meet(w);
    served = serve(w, COPAL_GET, 0, 4);
    p = ask_non(w, COPAL_GET, 0, true);
    copal_sim_run(w->sim, 1000);
    assert_body(p, 4096, 1);
    change(w, "");
    copal_sim_run(w->sim, 1000);
    assert_ladder(w, FIGURE_7);
    assert_body(p, 4096, 2);
}

static void figure_8_more_than_max_payloads(void **state)
{
    struct world *w = *state;
    struct party *p;

    meet(w);
    served = serve(w, COPAL_GET, 0, 11);
    p = ask_non(w, COPAL_GET, 0, true);
    copal_sim_run(w->sim, 1000);
    assert_body(p, 11264, 1);
    change(w, "");
    copal_sim_run(w->sim, 1000);
    assert_ladder(w, FIGURE_8);
    assert_body(p, 11264, 2);
}

static void figure_9_recovery(void **state)
{
    struct world *w = *state;
    struct party *p = observe_blocks(w, 11);

    begin_ladder(w);
    change(w, ".x.......x.x");
    copal_sim_run(w->sim, 10000);
    assert_ladder(w, FIGURE_9);
    assert_body(p, 11264, 2);
}

static void figure_10_recovery_by_the_m_bit(void **state)
{
    struct world *w = *state;
    struct party *p = observe_blocks(w, 11);

    begin_ladder(w);
    change(w, "..xxxxxxxxx");
    copal_sim_run(w->sim, 10000);
    assert_ladder(w, FIGURE_10);
    assert_body(p, 11264, 2);
}

/* ---- 10.3: both ---- */

static void figure_11_a_simple_example(void **state)
{
    struct world *w = *state;
    struct party *p;

    meet(w);
    served = serve(w, COPAL_FETCH, 0, 4);
    p = ask_non(w, COPAL_FETCH, 3, true);
    copal_sim_run(w->sim, 1000);
    assert_body(p, 4096, 1);
    assert_body(served, 3072, 1);
    change(w, "");
    copal_sim_run(w->sim, 1000);
    assert_ladder(w, FIGURE_11);
    assert_body(p, 4096, 2);
}

static void figure_12_more_than_max_payloads(void **state)
{
    struct world *w = *state;
    struct party *p;

    meet(w);
    served = serve(w, COPAL_FETCH, 0, 11);
    p = ask_non(w, COPAL_FETCH, 11, true);
    copal_sim_run(w->sim, 1000);
    assert_body(p, 11264, 1);
    assert_body(served, 11264, 1);
    change(w, "");
    copal_sim_run(w->sim, 1000);
    assert_ladder(w, FIGURE_12);
    assert_body(p, 11264, 2);
}

static void figures_13_to_15_recovery(void **state)
{
    struct world *w = *state;
    struct party *p;

    meet(w);
    served = serve(w, COPAL_FETCH, 0, 4);
    cp_sim_lose_some(w->sim, "client", ".xx");
    cp_sim_lose_some(w->sim, "server", "..x.xx");
    p = ask_non(w, COPAL_FETCH, 4, true);
    copal_sim_run(w->sim, 20000);
    assert_body(p, 4096, 1);
    assert_int_equal(served->requests, 1);
    served->size = 3072;
    change(w, ".x");
    copal_sim_run(w->sim, 10000);
    assert_ladder(w, FIGURE_13_15);
    assert_body(p, 3072, 2);
}

/* ---- Appendix A: confirmable ---- */

static struct party *ask_con(struct world *w, int code, size_t blocks,
                             bool observes)
{
    copal_msg *m = request_of(w, code, PATH, blocks * 1024);

    if (observes)
        copal_msg_add_uint(m, COPAL_OPT_OBSERVE, 0);
    return send_request(w, m);
}

static void figure_16_confirmable_without_loss(void **state)
{
    struct world *w = *state;
    struct party *p;

    meet(w);
    copal_tune(w->client, NULL, COPAL_P_NSTART, 3);
    served = serve(w, COPAL_PUT, COPAL_CHANGED, 0);
    p = ask_con(w, COPAL_PUT, 4, false);
    copal_sim_run(w->sim, 1000);
    assert_ladder(w, FIGURE_16);
    assert_int_equal(p->status, 0);
    assert_body(served, 4096, 1);
}

static void figure_17_confirmable_with_loss(void **state)
{
    struct world *w = *state;
    struct party *p;

    meet(w);
    copal_tune(w->client, NULL, COPAL_P_NSTART, 3);
    served = serve(w, COPAL_PUT, COPAL_CHANGED, 0);
    cp_sim_lose_some(w->sim, "client", ".xx..xx");
    p = ask_con(w, COPAL_PUT, 5, false);
    copal_sim_run(w->sim, 60000);
    assert_ladder(w, FIGURE_17);
    assert_int_equal(p->status, 0);
    assert_body(served, 5120, 1);
}

/* Our parts follow one another whatever NSTART allows: an ACK, then the next. */
static void figure_18_confirmable_notifications(void **state)
{
    struct world *w = *state;
    struct party *p;

    meet(w);
    served = serve(w, COPAL_GET, 0, 4);
    p = ask_con(w, COPAL_GET, 0, true);
    copal_sim_run(w->sim, 1000);
    assert_body(p, 4096, 1);
    change(w, "");
    copal_sim_run(w->sim, 1000);
    assert_body(p, 4096, 2);
    change(w, ".x");
    copal_sim_run(w->sim, 10000);
    assert_ladder(w, FIGURE_18);
    assert_body(p, 4096, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_stranger_is_asked_confirmably_first,
                                        build_bodies, tear_down_bodies),
        cmocka_unit_test_setup_teardown(figure_2_a_simple_example, build_bodies,
                                        tear_down_bodies),
        cmocka_unit_test_setup_teardown(figure_3_more_than_max_payloads,
                                        build_bodies, tear_down_bodies),
        cmocka_unit_test_setup_teardown(figures_4_and_5_recovery, build_bodies,
                                        tear_down_bodies),
        cmocka_unit_test_setup_teardown(figure_6_recovery_that_fails,
                                        build_bodies, tear_down_bodies),
        cmocka_unit_test_setup_teardown(figure_7_a_simple_example, build_bodies,
                                        tear_down_bodies),
        cmocka_unit_test_setup_teardown(figure_8_more_than_max_payloads,
                                        build_bodies, tear_down_bodies),
        cmocka_unit_test_setup_teardown(figure_9_recovery, build_bodies,
                                        tear_down_bodies),
        cmocka_unit_test_setup_teardown(figure_10_recovery_by_the_m_bit,
                                        build_bodies, tear_down_bodies),
        cmocka_unit_test_setup_teardown(figure_11_a_simple_example,
                                        build_bodies, tear_down_bodies),
        cmocka_unit_test_setup_teardown(figure_12_more_than_max_payloads,
                                        build_bodies, tear_down_bodies),
        cmocka_unit_test_setup_teardown(figures_13_to_15_recovery, build_bodies,
                                        tear_down_bodies),
        cmocka_unit_test_setup_teardown(figure_16_confirmable_without_loss,
                                        build_bodies, tear_down_bodies),
        cmocka_unit_test_setup_teardown(figure_17_confirmable_with_loss,
                                        build_bodies, tear_down_bodies),
        cmocka_unit_test_setup_teardown(figure_18_confirmable_notifications,
                                        build_bodies, tear_down_bodies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
