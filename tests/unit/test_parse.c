/* Tests how entries and synchronization messages are read from BER: what is understood, what each slip of an
 * administrator is called, and that no bytes whatever do harm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dir/parse.h"
#include "dir/schema.h"
#include "dir/sync.h"

#define BASE "dc=scf,dc=example"
#define PERSON(id) "uid=" id ",ou=people," BASE
#define ORG(id) "scfOrgId=" id ",ou=organizations," BASE
#define CSN "20261124063744.123456Z#000000#000#000000"
#define DIGEST "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static struct schema schema;
static struct arena *arena;

static int open_all(void **unused)
{
	(void)unused;
	arena = arena_open();
	return schema_open(&schema, BASE, NULL).code;
}

static int close_all(void **unused)
{
	(void)unused;
	schema_close(&schema);
	arena_close(arena);
	return 0;
}

/* ---- writing BER ---- */

struct bytes {
	unsigned char at[4096];
	size_t size;
};

static void put(struct bytes *b, unsigned char tag, const void *content, size_t size)
{
	assert_in_range(size, 0, 60000);
	b->at[b->size++] = tag;
	if (size >= 0x100) {
		b->at[b->size++] = 0x82;
		b->at[b->size++] = (unsigned char)(size >> 8);
	} else if (size >= 0x80) {
		b->at[b->size++] = 0x81;
	}
	b->at[b->size++] = (unsigned char)size;
	memcpy(b->at + b->size, content, size);
	b->size += size;
}

/* One attribute of a test: "name", then its values. */
#define VALUES_MOST 4
struct attribute {
	const char *name;
	const char *values[VALUES_MOST + 1];
};

static struct bytes attribute_bytes(const struct attribute *a)
{
	struct bytes set = { .size = 0 }, content = { .size = 0 };

	for (const char *const *v = a->values; *v != NULL; v++)
		put(&set, SLICE_OCTETS, *v, strlen(*v));
	put(&content, SLICE_OCTETS, a->name, strlen(a->name));
	put(&content, SLICE_SET, set.at, set.size);
	return content;
}

/* Reads attributes, each from a block of exactly its size. */
static const char *read_all(const char *dn, const struct attribute *attributes, struct entry *out)
{
	struct place *place = arena_alloc(arena, sizeof *place);
	struct parse p;

	assert_int_equal(place_of(&schema, dn, strlen(dn), place), PLACE_OURS);
	parse_begin(&p, arena, &schema, place, out);
	for (const struct attribute *a = attributes; a->name != NULL; a++) {
		struct bytes content = attribute_bytes(a);
		unsigned char *block = arena_alloc(arena, content.size);

		memcpy(block, content.at, content.size);
		assert_true(parse_attribute(&p, (struct slice){ block, content.size }));
	}
	return parse_end(&p);
}

/* ---- entries ---- */

#define ASSOCIATION_DN "scfAssociationId=a-1,ou=associations," ORG("lakeside")
#define GOOD_ASSOCIATION                                                                                               \
	{ "entryCSN", { CSN } }, { "scfState", { "approved" } }, { "scfUser", { PERSON("chen") } },                    \
	    { "scfEmployer", { ORG("meridian") } },                                                                    \
	{                                                                                                              \
		"scfProvider",                                                                                         \
		{                                                                                                      \
			ORG("lakeside")                                                                                \
		}                                                                                                      \
	}

static void an_association_is_read(void **unused)
{
	struct entry e;
	const struct attribute attributes[] = { GOOD_ASSOCIATION, { "scfNotAfter", { "20270101000000Z" } },
		{ "scfExpires", { "20261201000000Z" } }, { "scfReason", { "knows the files" } }, { NULL, { NULL } } };
	struct revision csn;

	(void)unused;
	assert_null(read_all(ASSOCIATION_DN, attributes, &e));
	assert_int_equal(e.kind, KIND_ASSOCIATION);
	assert_string_equal(e.id, "a-1");
	assert_int_equal(e.state, STATE_APPROVED);
	assert_string_equal(e.user, "chen");
	assert_string_equal(e.employer, "meridian");
	assert_string_equal(e.provider, "lakeside");
	assert_int_equal(e.not_after, 1798761600);
	assert_int_equal(e.expires, 1796083200);
	assert_string_equal(e.reason, "knows the files");
	assert_true(revision_parse(CSN, 40, &csn));
	assert_int_equal(revision_compare(&csn, &e.revision), 0);
}

static void an_organization_is_read(void **unused)
{
	struct entry e;
	const struct attribute attributes[] = { { "entryCSN", { CSN } }, { "scfState", { "active" } },
		{ "objectClass", { "top", "SCFORGANIZATION", "scfProviderRole", "scfemployerrole" } },
		{ "scfProviderKind", { "Organization" } }, { "scfAuthorizedOfficial", { PERSON("Rivera") } },
		{ "scfBarredEmployer", { ORG("harbor"), ORG("DORMANT") } }, { NULL, { NULL } } };

	(void)unused;
	assert_null(read_all(ORG("lakeside"), attributes, &e));
	assert_true(e.is_employer);
	assert_int_equal(e.provider_kind, PROVIDER_ORGANIZATION);
	assert_string_equal(e.official, "rivera");
	assert_string_equal(e.barred[0], "harbor");
	assert_string_equal(e.barred[1], "dormant");
	assert_null(e.barred[2]);
}

static void other_kinds_are_read(void **unused)
{
	struct entry e;
	const struct attribute person[] = { { "entryCSN", { CSN } }, { "scfState", { "disabled" } },
		{ "scfRealm", { "nppes" } }, { "scfSessionsEndAt", { "20261124063744.5Z" } },
		{ "cn", { "Wei Chen", "Chen, Wei" } }, { NULL, { NULL } } };
	const struct attribute enrolled[] = { { "entryCSN", { CSN } }, { "scfState", { "active" } },
		{ "scfRealm", { "local" } }, { "oathTOTPToken", { "whatever it is" } },
		{ "scfRecoveryDigest", { DIGEST } }, { "scfLeavingEmployer", { ORG("meridian") } },
		{ "scfFraudAt", { "20261124063744Z" } }, { NULL, { NULL } } };
	const struct attribute of_desk[] = { { "entryCSN", { CSN } }, { "scfState", { "submitted" } },
		{ "scfCaseKind", { "employer_revocation" } }, { "scfProvider", { ORG("lakeside") } },
		{ "scfRequestedBy", { PERSON("rivera") } }, { NULL, { NULL } } };
	const struct attribute claim[] = { { "entryCSN", { CSN } }, { "scfState", { "submitted" } },
		{ "scfProvider", { ORG("northgate") } }, { "scfUser", { PERSON("quinn") } },
		{ "scfDocumentKind", { "cp575" } }, { NULL, { NULL } } };
	const struct attribute session[] = { { "entryCSN", { CSN } }, { "scfState", { "active" } },
		{ "scfUser", { PERSON("chen") } }, { "scfStartedAt", { "20261124063744Z" } },
		{ "scfSeenAt", { "20261124063744Z" } }, { "scfAuthenticatedAt", { "20261124063744Z" } },
		{ "scfExpires", { "20261124063744Z" } }, { "scfSecondFactor", { "TRUE" } }, { NULL, { NULL } } };
	const struct attribute role[] = { { "entryCSN", { CSN } },
		{ "member", { PERSON("desk1"), "", PERSON("desk2") } }, { NULL, { NULL } } };
	const struct attribute application[] = { { "entryCSN", { CSN } }, { "scfState", { "active" } },
		{ "scfSecretDigest", { DIGEST } }, { "scfPermission", { "decide" } }, { NULL, { NULL } } };

	(void)unused;
	assert_null(read_all(PERSON("chen"), person, &e));
	assert_int_equal(e.realm, REALM_NPPES);
	assert_int_equal(e.sessions_end, 1795502264);
	assert_string_equal(e.name, "Wei Chen");
	assert_false(e.second_factor);
	assert_null(read_all(PERSON("ito"), enrolled, &e));
	assert_true(e.second_factor);
	assert_string_equal(e.leaving[0], "meridian");
	assert_int_equal(e.fraud_at, 1795502264);
	assert_string_equal(e.recovery_digests[0], DIGEST);
	assert_null(read_all("scfCaseId=c-1,ou=cases," BASE, of_desk, &e));
	assert_int_equal(e.case_kind, CASE_REVOCATION);
	assert_string_equal(e.provider, "lakeside");
	assert_string_equal(e.requested_by, "rivera");
	assert_null(read_all("scfClaimId=k-1,ou=claims," ORG("northgate"), claim, &e));
	assert_string_equal(e.document_kind, "cp575");
	assert_string_equal(e.provider, "northgate");
	assert_null(read_all("scfSessionId=" DIGEST ",ou=sessions," BASE, session, &e));
	assert_true(e.second_factor);
	assert_null(read_all("cn=helpdesk,ou=roles," BASE, role, &e));
	assert_string_equal(e.id, "helpdesk");
	assert_string_equal(e.members[0], "desk1");
	assert_string_equal(e.members[1], "desk2");
	assert_null(e.members[2]);
	assert_null(read_all("scfApplicationId=portal,ou=applications," BASE, application, &e));
	assert_string_equal(e.secret_digests[0], DIGEST);
	assert_string_equal(e.permissions[0], "decide");
	assert_null(e.certificate_digests);
}

static void each_slip_has_a_name(void **unused)
{
	static const struct {
		const char *dn;
		struct attribute instead; /* replaces or is added to the good ones */
		const char *why;
	} rows[] = {
		{ ASSOCIATION_DN, { "scfState", { "aproved" } }, "scfState: 'aproved' is no state of an association" },
		{ ASSOCIATION_DN, { "scfState", { "signed" } }, "scfState: 'signed' is no state of an association" },
		{ ASSOCIATION_DN, { "scfState", { "none" } }, "scfState: 'none' is no state of an association" },
		{ ASSOCIATION_DN, { "scfState", { "approved " } },
		    "scfState: 'approved ' is no state of an association" },
		{ ASSOCIATION_DN, { "scfState", { "" } }, "scfState: empty" },
		{ ASSOCIATION_DN, { "scfState", { "approved", "pending" } }, "scfState: two values" },
		{ ASSOCIATION_DN, { "scfState", { NULL } }, "scfState: missing" },
		{ ASSOCIATION_DN, { "scfUser", { NULL } }, "scfUser: missing" },
		{ ASSOCIATION_DN, { "scfUser", { "uid=chen" } }, "scfUser: 'uid=chen' is the name of no person" },
		{ ASSOCIATION_DN, { "scfUser", { ORG("lakeside") } },
		    "scfUser: '" ORG("lakeside") "' is the name of no person" },
		{ ASSOCIATION_DN, { "scfUser", { PERSON("chen"), PERSON("novak") } }, "scfUser: two values" },
		{ ASSOCIATION_DN, { "scfEmployer", { PERSON("chen") } },
		    "scfEmployer: '" PERSON("chen") "' is the name of no organization" },
		{ ASSOCIATION_DN, { "scfProvider", { ORG("patel-md") } },
		    "scfProvider: 'patel-md' is not the organization that the entry lies in" },
		{ ASSOCIATION_DN, { "scfNotAfter", { "tomorrow" } },
		    "scfNotAfter: 'tomorrow' is no time like 20261124063744Z" },
		{ ASSOCIATION_DN, { "scfNotAfter", { "2027010100Z" } },
		    "scfNotAfter: '2027010100Z' is no time like 20261124063744Z" },
		{ ASSOCIATION_DN, { "scfNotAfter", { "19600101000000Z" } },
		    "scfNotAfter: '19600101000000Z' is no time like 20261124063744Z" },
		{ ASSOCIATION_DN, { "entryCSN", { NULL } }, "entryCSN: missing" },
		{ ASSOCIATION_DN, { "entryCSN", { "1" } }, "entryCSN: '1' is no change number" },
		{ PERSON("chen"), { "scfRealm", { "everywhere" } },
		    "scfRealm: 'everywhere' is neither local nor nppes" },
		{ PERSON("chen"), { "scfRealm", { NULL } }, "scfRealm: missing" },
		{ ORG("lakeside"), { "scfProviderKind", { "person" } },
		    "scfProviderKind: 'person' is neither organization nor individual" },
		{ ORG("lakeside"), { "scfProviderKind", { NULL } }, "scfProviderKind: missing" },
		{ ORG("lakeside"), { "scfAuthorizedOfficial", { "cn=admin,ou=services," BASE } },
		    "scfAuthorizedOfficial: 'cn=admin,ou=services," BASE "' is the name of no person" },
		{ ORG("lakeside"), { "scfBarredEmployer", { ORG("harbor"), "harbor" } },
		    "scfBarredEmployer: 'harbor' is the name of no organization" },
		{ "cn=helpdesk,ou=roles," BASE, { "member", { "cn=auditors,ou=roles," BASE } },
		    "member: 'cn=auditors,ou=roles," BASE "' is the name of no person" },
		{ "cn=helpdesk,ou=roles," BASE, { "member", { NULL } }, "member: missing" },
		{ "scfApplicationId=portal,ou=applications," BASE, { "scfSecretDigest", { "portal secret 2026" } },
		    "scfSecretDigest: not 64 hexadecimal digits" },
	};
	/* Everything that any kind needs: what a kind does not have is passed over. */
	static const struct attribute good[] = { GOOD_ASSOCIATION, { "scfRealm", { "local" } },
		{ "objectClass", { "scfOrganization", "scfProviderRole" } }, { "scfProviderKind", { "organization" } },
		{ "member", { PERSON("desk1") } } };

	(void)unused;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct attribute attributes[COUNT(good) + 2] = { 0 };
		struct entry e;
		size_t count = 0;
		bool bad_state = strncmp(rows[i].dn, "scfAssociationId", 16) != 0;

		for (size_t g = 0; g < COUNT(good); g++)
			if (strcmp(good[g].name, rows[i].instead.name) != 0)
				attributes[count++] = good[g];
		for (size_t g = 0; g < count; g++)
			if (bad_state && strcmp(attributes[g].name, "scfState") == 0)
				attributes[g].values[0] = "active";
		attributes[count] = rows[i].instead;
		const char *why = read_all(rows[i].dn, attributes, &e);
		if (why == NULL || strcmp(why, rows[i].why) != 0)
			fail_msg("%s, not %s", why != NULL ? why : "understood", rows[i].why);
	}
}

static void an_attribute_told_twice_is_a_slip(void **unused)
{
	struct entry e;
	const struct attribute attributes[] = { GOOD_ASSOCIATION, { "scfstate", { "pending" } }, { NULL, { NULL } } };

	(void)unused;
	assert_string_equal(read_all(ASSOCIATION_DN, attributes, &e), "scfState: told twice");
}

static void a_nul_within_a_value_is_a_slip(void **unused)
{
	struct bytes set = { .size = 0 }, content = { .size = 0 };
	struct place place;
	struct parse p;
	struct entry e;

	(void)unused;
	put(&set, SLICE_OCTETS, "approved\0x", 10);
	put(&content, SLICE_OCTETS, "scfState", 8);
	put(&content, SLICE_SET, set.at, set.size);
	assert_int_equal(place_of(&schema, ASSOCIATION_DN, strlen(ASSOCIATION_DN), &place), PLACE_OURS);
	parse_begin(&p, arena, &schema, &place, &e);
	assert_true(parse_attribute(&p, (struct slice){ content.at, content.size }));
	assert_string_equal(parse_end(&p), "scfState: a NUL within");
}

static void a_document_keeps_all_its_bytes(void **unused)
{
	char body[1000];
	struct bytes set = { .size = 0 }, content = { .size = 0 };
	struct place place;
	struct parse p;
	struct entry e;
	const char *dn = "scfEnrollmentId=O20240115000001,ou=records," ORG("lakeside");

	(void)unused;
	for (size_t i = 0; i < sizeof body; i++)
		body[i] = (char)i;
	put(&set, SLICE_OCTETS, body, sizeof body);
	put(&content, SLICE_OCTETS, "scfDocument", 11);
	put(&content, SLICE_SET, set.at, set.size);
	assert_int_equal(place_of(&schema, dn, strlen(dn), &place), PLACE_OURS);
	parse_begin(&p, arena, &schema, &place, &e);
	assert_true(parse_attribute(&p, (struct slice){ content.at, content.size }));
	assert_int_equal(e.document_size, sizeof body);
	assert_memory_equal(e.document, body, sizeof body);
	assert_int_equal(e.document[sizeof body], '\0');
}

/* ---- synchronization ---- */

static struct slice slice_of(struct bytes *b)
{
	return (struct slice){ b->at, b->size };
}

static void a_state_control_is_read(void **unused)
{
	unsigned char uuid[16] = "0123456789abcde";
	struct bytes inner = { .size = 0 }, outer = { .size = 0 };
	enum sync_state state;
	struct uuid read;
	struct sync_cookie cookie;

	(void)unused;
	put(&inner, SLICE_ENUMERATED, "\x02", 1);
	put(&inner, SLICE_OCTETS, uuid, 16);
	put(&outer, SLICE_SEQUENCE, inner.at, inner.size);
	assert_true(sync_read_state(slice_of(&outer), &state, &read, &cookie));
	assert_int_equal(state, SYNC_MODIFY);
	assert_memory_equal(read.bytes, uuid, 16);
	assert_null(cookie.at);
	put(&inner, SLICE_OCTETS, "rid=000", 7);
	outer.size = 0;
	put(&outer, SLICE_SEQUENCE, inner.at, inner.size);
	assert_true(sync_read_state(slice_of(&outer), &state, &read, &cookie));
	assert_int_equal(cookie.size, 7);
	assert_memory_equal(cookie.at, "rid=000", 7);
}

static void what_is_no_state_control_is_refused(void **unused)
{
	unsigned char uuid[17] = "0123456789abcdef";
	enum sync_state state;
	struct uuid read;
	struct sync_cookie cookie;

	(void)unused;
	for (int wrong = 0; wrong < 5; wrong++) {
		struct bytes inner = { .size = 0 }, outer = { .size = 0 };

		put(&inner, wrong == 0 ? SLICE_OCTETS : SLICE_ENUMERATED, wrong == 1 ? "\x04" : "\x01", 1);
		put(&inner, SLICE_OCTETS, uuid, wrong == 2 ? 15 : wrong == 3 ? 17 : 16);
		put(&outer, SLICE_SEQUENCE, inner.at, inner.size);
		if (wrong == 4)
			put(&outer, SLICE_SEQUENCE, "", 0);
		assert_false(sync_read_state(slice_of(&outer), &state, &read, &cookie));
	}
	assert_false(sync_read_state((struct slice){ uuid, 0 }, &state, &read, &cookie));
}

static void info_messages_are_read(void **unused)
{
	struct bytes inner = { .size = 0 }, outer = { .size = 0 }, set = { .size = 0 };
	struct sync_info info;
	struct uuid uuid;

	(void)unused;
	put(&outer, 0x80, "cookie", 6);
	assert_true(sync_read_info(slice_of(&outer), &info));
	assert_int_equal(info.kind, SYNC_NEW_COOKIE);
	assert_memory_equal(info.cookie.at, "cookie", 6);

	outer.size = 0;
	put(&outer, 0xa1, "", 0); /* refreshDone is TRUE by default */
	assert_true(sync_read_info(slice_of(&outer), &info));
	assert_true(info.kind == SYNC_REFRESH_DELETE && info.done && info.cookie.at == NULL);

	outer.size = 0;
	put(&inner, SLICE_OCTETS, "c", 1);
	put(&inner, SLICE_BOOLEAN, "\0", 1);
	put(&outer, 0xa2, inner.at, inner.size);
	assert_true(sync_read_info(slice_of(&outer), &info));
	assert_true(info.kind == SYNC_REFRESH_PRESENT && !info.done && info.cookie.size == 1);

	outer.size = inner.size = 0;
	put(&set, SLICE_OCTETS, "0123456789abcdef", 16);
	put(&set, SLICE_OCTETS, "fedcba9876543210", 16);
	put(&inner, SLICE_BOOLEAN, "\xff", 1);
	put(&inner, SLICE_SET, set.at, set.size);
	put(&outer, 0xa3, inner.at, inner.size);
	assert_true(sync_read_info(slice_of(&outer), &info));
	assert_true(info.kind == SYNC_ID_SET && info.deletes);
	assert_true(sync_next_uuid(&info.uuids, &uuid));
	assert_memory_equal(uuid.bytes, "0123456789abcdef", 16);
	assert_true(sync_next_uuid(&info.uuids, &uuid));
	assert_memory_equal(uuid.bytes, "fedcba9876543210", 16);
	assert_false(sync_next_uuid(&info.uuids, &uuid));

	outer.size = 0;
	put(&outer, 0xa4, "", 0);
	assert_false(sync_read_info(slice_of(&outer), &info));
}

static void a_request_is_written(void **unused)
{
	size_t size;
	char cookie[300];
	const unsigned char *r = sync_write_request(arena, NULL, 0, &size);

	(void)unused;
	assert_int_equal(size, 5);
	assert_memory_equal(r, "\x30\x03\x0a\x01\x03", 5);
	r = sync_write_request(arena, (const unsigned char *)"ab", 2, &size);
	assert_int_equal(size, 9);
	assert_memory_equal(r,
	    "\x30\x07\x0a\x01\x03\x04\x02"
	    "ab",
	    9);
	memset(cookie, 'x', sizeof cookie);
	r = sync_write_request(arena, (const unsigned char *)cookie, sizeof cookie, &size);
	assert_int_equal(size, 4 + 3 + 4 + sizeof cookie);
	assert_memory_equal(r, "\x30\x82\x01\x33\x0a\x01\x03\x04\x82\x01\x2c", 11);
	assert_memory_equal(r + 11, cookie, sizeof cookie);
}

static void the_revision_of_a_cookie_is_its_greatest(void **unused)
{
	static const struct {
		const char *cookie, *revision;
	} rows[] = {
		{ "rid=000,csn=" CSN, CSN },
		{ "rid=000,sid=001,csn=" CSN, CSN },
		{ "csn=20200101000000.000000Z#000000#001#000000;" CSN ";20210101000000.000000Z#000000#002#000000,rid=1",
		    CSN },
		{ "csn=;;" CSN, CSN },
		{ "csn=nonsense;" CSN, CSN },
		{ "", NULL },
		{ "rid=000", NULL },
		{ "rid=000,csn=", NULL },
		{ "rid=000,csn", NULL },
		{ "rid=000,acsn=" CSN, NULL },
		{ "csn=" CSN "x", NULL },
		{ ",,,", NULL },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct revision read, wanted;
		size_t size = strlen(rows[i].cookie);
		unsigned char *copy = malloc(size + 1);

		memcpy(copy, rows[i].cookie, size);
		bool found = sync_revision(copy, size, &read);
		free(copy);
		assert_int_equal(found, rows[i].revision != NULL);
		if (found) {
			assert_true(revision_parse(rows[i].revision, strlen(rows[i].revision), &wanted));
			assert_int_equal(revision_compare(&read, &wanted), 0);
		}
	}
}

/* ---- any bytes ---- */

static uint64_t chance = 88172645463325252;

static unsigned next_chance(unsigned below)
{
	chance ^= chance << 13; /* xorshift: the same in each run */
	chance ^= chance >> 7;
	chance ^= chance << 17;
	return (unsigned)(chance % below);
}

static void any_bytes_are_survived(void **unused)
{
	const struct attribute good[] = { GOOD_ASSOCIATION, { "scfNotAfter", { "20270101000000Z" } },
		{ "scfBarredEmployer", { ORG("harbor"), ORG("dormant") } }, { "objectClass", { "scfProviderRole" } } };
	const char *dns[] = { ASSOCIATION_DN, ORG("lakeside"), PERSON("chen") };

	(void)unused;
	for (int round = 0; round < 60000; round++) {
		struct bytes content = attribute_bytes(&good[next_chance(COUNT(good))]);
		struct place place;
		struct parse p;
		struct entry e;
		enum sync_state state;
		struct uuid uuid;
		struct sync_cookie cookie;
		struct sync_info info;

		for (unsigned n = 1 + next_chance(4); n > 0; n--)
			content.at[next_chance((unsigned)content.size)] = (unsigned char)next_chance(256);
		size_t size = next_chance(4) == 0 ? next_chance((unsigned)content.size + 1) : content.size;
		unsigned char *block = malloc(size > 0 ? size : 1);
		memcpy(block, content.at, size);
		sync_read_state((struct slice){ block, size }, &state, &uuid, &cookie);
		sync_read_info((struct slice){ block, size }, &info);
		sync_revision(block, size, &e.revision);
		const char *dn = dns[next_chance(COUNT(dns))];
		assert_int_equal(place_of(&schema, dn, strlen(dn), &place), PLACE_OURS);
		parse_begin(&p, arena, &schema, &place, &e);
		parse_attribute(&p, (struct slice){ block, size });
		assert_non_null(parse_end(&p)); /* one attribute is never enough */
		memcpy(block, content.at, size);
		place_of(&schema, (char *)arena_copy(arena, (char *)block, size), size, &place);
		free(block);
		arena_reset(arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_association_is_read),
		cmocka_unit_test(an_organization_is_read),
		cmocka_unit_test(other_kinds_are_read),
		cmocka_unit_test(each_slip_has_a_name),
		cmocka_unit_test(an_attribute_told_twice_is_a_slip),
		cmocka_unit_test(a_nul_within_a_value_is_a_slip),
		cmocka_unit_test(a_document_keeps_all_its_bytes),
		cmocka_unit_test(a_state_control_is_read),
		cmocka_unit_test(what_is_no_state_control_is_refused),
		cmocka_unit_test(info_messages_are_read),
		cmocka_unit_test(a_request_is_written),
		cmocka_unit_test(the_revision_of_a_cookie_is_its_greatest),
		cmocka_unit_test(any_bytes_are_survived),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, open_all, close_all);
}
