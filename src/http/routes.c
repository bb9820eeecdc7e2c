/* The calls that the gateway answers, and how a path finds its call. docs/openapi.yaml says the same. */
#include <string.h>

#include "http/request.h"

#include "base/banned.h"

/* clang-format off */
const struct row routes_table[] = {
	{ "GET",    "/auth/nginx",                        FORWARD,                           call_auth_nginx },
	{ "POST",   "/access/v1/evaluation",              JSON_BODY | OWN_LANGUAGE,          call_evaluation },
	{ "POST",   "/v1/explain",                        JSON_BODY,                         call_explain },
	{ "POST",   "/v1/login",                          WAITS | JSON_BODY,                 call_login },
	{ "POST",   "/v1/accounts",                     WAITS | JSON_BODY,                 call_register },
	{ "POST",   "/v1/accounts/{token}",             WAITS | JSON_BODY,                 call_register_finish },
	{ "POST",   "/v1/mail-confirmations/{token}",   WAITS,                             call_confirm_mail },
	{ "POST",   "/v1/password-resets",              WAITS | JSON_BODY,                 call_ask_reset },
	{ "POST",   "/v1/password-resets/{token}",      WAITS | JSON_BODY,                 call_finish_reset },
	{ "GET",    "/v1/me/profile",                   WAITS | SIGNED_IN,                 call_profile },
	{ "PATCH",  "/v1/me/profile",                   WAITS | SIGNED_IN | JSON_BODY,     call_change_profile },
	{ "POST",   "/v1/me/password",                  WAITS | SIGNED_IN | JSON_BODY,     call_change_password },
	{ "POST",   "/v1/logout",                       WAITS | SIGNED_IN | MAY_ENROL,     call_logout },
	{ "POST",   "/v1/reauthenticate",               WAITS | SIGNED_IN | JSON_BODY | MAY_ENROL, call_reauthenticate },
	{ "GET",    "/v1/me",                           WAITS | SIGNED_IN | MAY_ENROL,     call_me },
	{ "GET",    "/v1/me/sessions",                  WAITS | SIGNED_IN | MAY_ENROL,     call_sessions },
	{ "DELETE", "/v1/me/sessions/{id}",             WAITS | SIGNED_IN | MAY_ENROL,     call_end_session },
	{ "GET",    "/v1/me/totp",                      WAITS | SIGNED_IN | MAY_ENROL,     call_factor },
	{ "POST",   "/v1/me/totp",                      WAITS | SIGNED_IN | MAY_ENROL,     call_factor_enrol },
	{ "POST",   "/v1/me/totp/confirm",              WAITS | SIGNED_IN | JSON_BODY | MAY_ENROL, call_factor_confirm },
	{ "POST",   "/v1/me/totp/recovery-codes",       WAITS | SIGNED_IN | MAY_ENROL,     call_factor_recovery },
	{ "DELETE", "/v1/me/totp",                      WAITS | SIGNED_IN | MAY_ENROL,     call_factor_remove },
	{ "GET",    "/v1/records",                        WAITS | SIGNED_IN,                 call_list_records },
	{ "GET",    "/v1/records/{id}",                   WAITS | SIGNED_IN,                 call_view_record },
	{ "PUT",    "/v1/records/{id}",                   WAITS | SIGNED_IN | JSON_BODY,     call_update_record },
	{ "POST",   "/v1/organizations/{id}/submissions", WAITS | SIGNED_IN | JSON_BODY,     call_create_submission },
	{ "GET",    "/v1/submissions",                    WAITS | SIGNED_IN,                 call_list_submissions },
	{ "GET",    "/v1/submissions/{id}",               WAITS | SIGNED_IN,                 call_view_submission },
	{ "PUT",    "/v1/submissions/{id}",               WAITS | SIGNED_IN | JSON_BODY,     call_update_submission },
	{ "DELETE", "/v1/submissions/{id}",               WAITS | SIGNED_IN,                 call_delete_submission },
	{ "POST",   "/v1/submissions/{id}/submit",        WAITS | SIGNED_IN,                 call_submit_submission },
	{ "POST",   "/v1/submissions/{id}/accept",        WAITS | SIGNED_IN | JSON_BODY,     call_accept_submission },
	{ "POST",   "/v1/submissions/{id}/return",        WAITS | SIGNED_IN | JSON_BODY,     call_return_submission },
	{ "POST",   "/v1/associations",                   WAITS | SIGNED_IN | JSON_BODY,     call_request_association },
	{ "GET",    "/v1/associations",                   WAITS | SIGNED_IN,                 call_list_associations },
	{ "GET",    "/v1/associations/{id}",              WAITS | SIGNED_IN,                 call_view_association },
	{ "POST",   "/v1/associations/{id}/approve",      WAITS | SIGNED_IN | JSON_BODY,     call_approve_association },
	{ "POST",   "/v1/associations/{id}/reject",       WAITS | SIGNED_IN | JSON_BODY,     call_reject_association },
	{ "POST",   "/v1/associations/{id}/end",          WAITS | SIGNED_IN | JSON_BODY,     call_end_association },
	{ "POST",   "/v1/associations/{id}/cancel",       WAITS | SIGNED_IN | JSON_BODY,     call_cancel_association },
	{ "POST",   "/v1/associations/{id}/confirm",      WAITS | SIGNED_IN | JSON_BODY,     call_confirm_association },
	{ "POST",   "/v1/me/employers/{id}/leave",        WAITS | SIGNED_IN,                 call_leave_employer },
	{ "POST",   "/v1/organizations/{id}/employers/{employer}/revocation-requests", WAITS | SIGNED_IN | JSON_BODY,
	    call_request_revocation },
	{ "POST",   "/v1/organizations/{id}/employers/{employer}/reinstate", WAITS | SIGNED_IN | JSON_BODY,
	    call_reinstate_employer },
	{ "GET",    "/v1/revocation-requests",            WAITS | SIGNED_IN,                 call_list_revocations },
	{ "GET",    "/v1/revocation-requests/{id}",       WAITS | SIGNED_IN,                 call_view_revocation },
	{ "POST",   "/v1/revocation-requests/{id}/execute", WAITS | SIGNED_IN | JSON_BODY,   call_execute_revocation },
	{ "POST",   "/v1/revocation-requests/{id}/decline", WAITS | SIGNED_IN | JSON_BODY,   call_decline_revocation },
	{ "POST",   "/v1/consents",                       WAITS | SIGNED_IN | JSON_BODY,     call_prepare_consent },
	{ "GET",    "/v1/consents",                       WAITS | SIGNED_IN,                 call_list_consents },
	{ "GET",    "/v1/consents/{id}",                  WAITS | SIGNED_IN,                 call_view_consent },
	{ "GET",    "/v1/consents/{id}/form",             WAITS | SIGNED_IN,                 call_consent_form },
	{ "POST",   "/v1/consents/{id}/sign",             WAITS | SIGNED_IN | JSON_BODY,     call_sign_consent },
	{ "POST",   "/v1/consents/{id}/scan",             WAITS | SIGNED_IN | UPLOAD,        call_scan_consent },
	{ "GET",    "/v1/consents/{id}/scan",             WAITS | SIGNED_IN,                 call_read_scan },
	{ "POST",   "/v1/consents/{id}/receive",          WAITS | SIGNED_IN | JSON_BODY,     call_receive_consent },
	{ "POST",   "/v1/consents/{id}/withdraw",         WAITS | SIGNED_IN | JSON_BODY,     call_withdraw_consent },
	{ "POST",   "/v1/consents/{id}/approve",          WAITS | SIGNED_IN | JSON_BODY,     call_approve_consent },
	{ "POST",   "/v1/consents/{id}/reject",           WAITS | SIGNED_IN | JSON_BODY,     call_reject_consent },
	{ "POST",   "/v1/consents/{id}/revoke",           WAITS | SIGNED_IN | JSON_BODY,     call_revoke_consent },
	{ "POST",   "/v1/consents/{id}/confirm",          WAITS | SIGNED_IN | JSON_BODY,     call_confirm_consent },
	{ "GET",    "/v1/help",                           INLINE,                            call_help },
	{ "GET",    "/v1/help/{topic}",                   INLINE,                            call_help_topic },
	{ "GET",    "/v1/helpdesk/queue",                 WAITS | SIGNED_IN,                 call_desk_queue },
	{ "GET",    "/v1/helpdesk/accounts/{id}",         WAITS | SIGNED_IN,                 call_desk_account },
	{ "POST",   "/v1/helpdesk/accounts/{id}/unlock",  WAITS | SIGNED_IN | JSON_BODY,     call_unlock_account },
	{ "POST",   "/v1/helpdesk/accounts/{id}/reset",   WAITS | SIGNED_IN | JSON_BODY,     call_reset_account },
	{ "POST",   "/v1/helpdesk/accounts/{id}/disable", WAITS | SIGNED_IN | JSON_BODY,     call_disable_account },
	{ "POST",   "/v1/helpdesk/accounts/{id}/enable",  WAITS | SIGNED_IN | JSON_BODY,     call_enable_account },
	{ "POST",   "/v1/helpdesk/accounts/{id}/remove",  WAITS | SIGNED_IN | JSON_BODY,     call_remove_account },
	{ "POST",   "/v1/helpdesk/accounts/{id}/remove-second-factor", WAITS | SIGNED_IN | JSON_BODY,
	    call_remove_account_factor },
	{ "POST",   "/v1/cases",                          WAITS | SIGNED_IN | JSON_BODY,     call_open_case },
	{ "GET",    "/v1/cases/{id}",                     WAITS | SIGNED_IN,                 call_view_case },
	{ "POST",   "/v1/cases/{id}/close",               WAITS | SIGNED_IN | JSON_BODY,     call_close_case },
	{ "POST",   "/v1/organizations",                  WAITS | SIGNED_IN | JSON_BODY,     call_register_organization },
	{ "GET",    "/v1/organizations",                  WAITS | SIGNED_IN,                 call_list_organizations },
	{ "GET",    "/v1/organizations/{id}",             WAITS | SIGNED_IN,                 call_view_organization },
	{ "PATCH",  "/v1/organizations/{id}",             WAITS | SIGNED_IN | JSON_BODY,     call_update_organization },
	{ "POST",   "/v1/organizations/{id}/verify",      WAITS | SIGNED_IN | JSON_BODY,     call_verify_organization },
	{ "POST",   "/v1/organizations/{id}/suspend",     WAITS | SIGNED_IN | JSON_BODY,     call_suspend_organization },
	{ "POST",   "/v1/organizations/{id}/reinstate",   WAITS | SIGNED_IN | JSON_BODY,     call_reinstate_organization },
	{ "POST",   "/v1/organizations/{id}/close",       WAITS | SIGNED_IN | JSON_BODY,     call_close_organization },
	{ "POST",   "/v1/organizations/{id}/claims",      WAITS | SIGNED_IN | UPLOAD,        call_submit_claim },
	{ "GET",    "/v1/claims",                         WAITS | SIGNED_IN,                 call_list_claims },
	{ "GET",    "/v1/claims/{id}",                    WAITS | SIGNED_IN,                 call_view_claim },
	{ "GET",    "/v1/claims/{id}/document",           WAITS | SIGNED_IN,                 call_claim_document },
	{ "POST",   "/v1/claims/{id}/compare",            WAITS | SIGNED_IN | JSON_BODY,     call_compare_claim },
	{ "POST",   "/v1/claims/{id}/approve",            WAITS | SIGNED_IN | JSON_BODY,     call_approve_claim },
	{ "POST",   "/v1/claims/{id}/replace",            WAITS | SIGNED_IN | JSON_BODY,     call_replace_official },
	{ "POST",   "/v1/claims/{id}/reject",             WAITS | SIGNED_IN | JSON_BODY,     call_reject_claim },
	{ "POST",   "/v1/claims/{id}/withdraw",           WAITS | SIGNED_IN,                 call_withdraw_claim },
	{ "POST",   "/v1/helpdesk/accounts/{id}/fraud",   WAITS | SIGNED_IN | JSON_BODY,     call_report_fraud },
	{ "GET",    "/health/live",                       OPERATIONS,                        call_live },
	{ "GET",    "/health/ready",                      OPERATIONS,                        call_ready },
	{ "GET",    "/metrics",                           OPERATIONS,                        call_metrics },
};
/* clang-format on */
const size_t routes_count = COUNT(routes_table);
_Static_assert(COUNT(routes_table) <= ROUTES_MOST, "every call has its counters");

struct variable { const char *at; size_t size; };

/* Fits the path, and finds its variables, if the pattern has any. */
static bool path_fits(const char *pattern, const char *path, struct variable found[PATH_VARIABLES])
{
	size_t count = 0;

	for (; *pattern != '\0'; pattern++) {
		if (*pattern != '{') {
			if (*pattern != *path++)
				return false;
			continue;
		}
		found[count] = (struct variable){ path, strcspn(path, "/") };
		path += found[count].size;
		if (found[count++].size == 0)
			return false;
		pattern = strchr(pattern, '}');
	}
	return *path == '\0';
}

static void add_method(char allow[ALLOW_TEXT], const char *method)
{
	size_t n = strlen(allow);

	if (n > 0) {
		memcpy(allow + n, ", ", 2);
		n += 2;
	}
	memcpy(allow + n, method, strlen(method) + 1);
	if (strcmp(method, "GET") == 0)
		memcpy(allow + n + 3, ", HEAD", 7);
}

const struct row *routes_find(struct arena *a, const char *method, const struct target *t, bool operations,
    const char *ids[PATH_VARIABLES], char allow[ALLOW_TEXT])
{
	allow[0] = '\0';
	memset(ids, 0, PATH_VARIABLES * sizeof *ids);
	if (strcmp(method, "HEAD") == 0)
		method = "GET";
	for (size_t i = 0; i < routes_count; i++) {
		const struct row *r = &routes_table[i];
		struct variable found[PATH_VARIABLES] = { 0 };

		if (((r->flags & OPERATIONS) != 0) != operations || !path_fits(r->path, t->path, found))
			continue;
		if (strcmp(r->method, method) != 0) {
			add_method(allow, r->method);
			continue;
		}
		for (size_t k = 0; k < PATH_VARIABLES && found[k].at != NULL; k++)
			ids[k] = arena_copy(a, found[k].at, found[k].size);
		return r;
	}
	return NULL;
}
