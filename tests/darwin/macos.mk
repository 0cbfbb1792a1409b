# macOS, built here by clang and lld: `make macos` calls this.
#
# For each processor the Makefile's own rules, with other tools and the files of
# *_darwin.c, into $(OUT)/ARCH; then both in one, into $(OUT)/universal.
#
#	OUT	where results go (build/macos)

OUT	?= build/macos
ARCHS	:= arm64 x86_64
LLVM	:= 14
MINIMUM	:= 11.0

# Whole paths: configure scripts run elsewhere.
CROSS	= clang-$(LLVM) --target=$(ARCH)-apple-macos$(MINIMUM) \
	  -Wno-unused-command-line-argument \
	  -isysroot $(abspath $(OUT)/sdk) -nostdlibinc \
	  -isystem $(abspath $(OUT)/sdk)/usr/include

ifdef ARCH
include Makefile

KEPT	:= $(OUT)/$(ARCH)/kept
# SECOND: by another compiler, which may object to what this one lets pass.
ZIG	= ZIG_GLOBAL_CACHE_DIR=$(abspath $(OUT)/zig/cache) \
	  ZIG_LOCAL_CACHE_DIR=$(abspath $(OUT)/zig/cache) \
	  $(OUT)/fetched/zig/ziglang/zig cc \
	  -target $(ARCH:arm64=aarch64)-macos.$(MINIMUM)
CC	= $(if $(SECOND),$(ZIG),$(CROSS))
CPPFLAGS += -isystem $(OUT)/headers -isystem tests/darwin/include \
	  -isystem $(KEPT)/include
LINK	= $(CC) $(CFLAGS) -fuse-ld=lld $(LDFLAGS)
DAEMON_LIBS = $(KEPT)/lib/libevent_core.a
CTL_LIBS = $(KEPT)/lib/libjansson.a -Ltests/darwin/lib -lncurses
ARCHIVE	= llvm-ar-$(LLVM) rcs $@ $^
DYLIB	:= libtuntapd.0.dylib
# What asks the system for things, as tests/darwin/backend.py runs it.
PLAYED	:= $(addprefix daemon/,utun_darwin.c ifconf_darwin.c route_darwin.c \
	  move_darwin.c watch_darwin.c os_darwin.c passed_darwin.c \
	  confine_darwin.c refuse.c mirror.c mirror_ask.c nets.c clock.c) $(PROTO) \
	  libclient/host_darwin.c \
	  $(addprefix ctl/,links_darwin.c routes_darwin.c doctor_host_darwin.c) \
	  tests/darwin/standard.c tests/darwin/vectors.c
RESULTS	:= $(DYLIB) libtuntapd.a tuntapd tuntapctl $(EXAMPLES)

$(B)/$(DYLIB): $(call pic,$(LIB) $(PROTO)) $(B)/exported
	$(call say,LINK)
	$(Q)$(LINK) -dynamiclib -install_name @rpath/$(@F) \
	 -current_version $(VERSION) \
	 -Wl,-exported_symbols_list,$(B)/exported -o $@ $(filter %.o,$^)
$(B)/exported: libclient/libtuntapd.map
	$(Q)mkdir -p $(@D) && sed -n 's/^[ \t]*\(ttd_[a-z_]*\);$$/_\1/p' $< >$@

$(B)/backend.dylib: $(call obj,$(PLAYED))
	$(call say,LINK)
	$(Q)$(LINK) -dynamiclib -Wl,-undefined,dynamic_lookup -o $@ $^

results: $(B)/backend.dylib $(addprefix $(B)/,$(RESULTS)) $(call obj,$(DAEMON))
objects: $(call obj,$(LIB) $(PROTO) $(POLICY) $(DAEMON) $(CTL) $(EXAMPLES:=.c))
# Both in one, in what was built last.
universal: $(addprefix $(OUT)/universal/,$(RESULTS))
$(OUT)/universal/%: $(foreach arch,$(ARCHS),$(OUT)/$(arch)/%)
	$(call say,LIPO)
	$(Q)mkdir -p $(@D) && llvm-lipo-$(LLVM) -create -output $@ $^
.PHONY: results objects universal

else

each	= $(MAKE) --no-print-directory -f tests/darwin/macos.mk \
	  OUT=$(OUT) B=$(OUT)/$(1) ARCH=$(1) SYSTEM=darwin WERROR=-Werror \
	  RUNDIR=/var/db/tuntapd $(2)

macos: $(ARCHS)
	@$(call each,$(firstword $(ARCHS)),universal)
	@sh tests/darwin/gate.sh $(OUT)
$(ARCHS): ARCH = $@
$(ARCHS): fetch
	@sh tests/darwin/kept.sh $(OUT) $@ '$(CROSS)'
	@$(call each,$@,results)
fetch:
	@sh tests/darwin/fetch.sh $(OUT)
# What macos has built, compiled once more.
second:
	@$(foreach arch,$(ARCHS),$(call each,$(arch),B=$(OUT)/zig/$(arch) \
		SECOND=yes objects) &&) :
	@echo 'second: $(words $(ARCHS)) passed, 0 failed'
.PHONY: macos fetch second $(ARCHS)
endif
