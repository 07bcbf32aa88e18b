//! What belongs to another account is not there: the same answer as for an id that names nothing.

use reqwest::Method;
use serde_json::{Value, json};
use tests::app::{SignedIn, TestApp};
use tests::flows::drawflow;
use uuid::Uuid;

const PHONE: &str = "+972501234567";
const TEMPLATE: &str = "their_template";
const NOBODYS_PHONE: &str = "+972509999999";

/// What account B has, by the part of the path that names it.
pub struct Things {
    flow: String,
    conversation: String,
    appointment: String,
    contact: String,
    user: String,
    employee: String,
    task: String,
    session: String,
    template: String,
}

impl Things {
    /// The things of an account, made.
    pub async fn of(app: &TestApp, owner: &SignedIn) -> Self {
        let graph = drawflow(&[
            ("1", "trigger_message", json!({}), &["2"]),
            ("2", "send_text", json!({ "text": "hello" }), &[]),
            ("3", "trigger_api", json!({ "auth": { "mode": "jwt" } }), &[]),
            ("4", "trigger_lead_api", json!({ "auth": { "mode": "jwt" } }), &[]),
            ("5", "trigger_outbound", json!({}), &[]),
        ]);
        let flow = owner.has_line().await.has_flow("Theirs", &graph).await;
        owner.post("/api/leads", &json!({ "phone": PHONE, "name": "Their lead" })).await.ok();
        app.customer_writes(PHONE, "hi").await;
        app.wait_for_answers(PHONE, 1).await;
        let row = owner.conversation_with(PHONE).await;
        let (conversation, contact) = (row["id"].as_str().expect("an id"), row["contactId"].as_str().expect("an id"));
        let (conversation, contact) = (conversation.to_owned(), contact.to_owned());
        let appointment = json!({ "serviceName": "Cut", "start": "2031-03-04T10:00:00Z", "durationMinutes": 30,
                                  "timezone": "UTC", "resourceId": "chair", "customerName": "Their customer", "phone": PHONE });
        let appointment = owner.post("/api/calendar/appointments", &appointment).await.ok()["id"].clone();
        let appointment = appointment.as_str().expect("an id").to_owned();
        let employee = app.employee(owner, "theirs", &["inbox"]).await.id;
        let task = json!({ "title": "Their task", "assigneeId": employee, "conversationId": conversation });
        let task = owner.post("/api/tasks", &task).await.ok()["id"].as_str().expect("an id").to_owned();
        let sessions = owner.get("/api/auth/sessions").await.ok();
        let session = sessions[0]["id"].as_str().expect("an id").to_owned();
        let template = owner.submits(&tests::templates::hebrew(TEMPLATE)).await;
        let template = template["id"].as_str().expect("an id").to_owned();
        Self { flow, conversation, appointment, contact, user: owner.id.clone(), employee, task, session, template }
    }

    /// A path of the document with B's id in it, and with one that names nothing.
    pub fn paths(&self, path: &str) -> Option<(String, String)> {
        let path = path.replace("{aggregate}", "conversation");
        let (start, rest) = path.split_once('{')?;
        let (_, rest) = rest.split_once('}')?;
        let nobodys = Uuid::new_v4().to_string();
        let (theirs, nobodys) = match start {
            "/api/flows/" | "/api/webhook/flow/" => (self.flow.as_str(), nobodys.as_str()),
            "/api/conversations/" => (self.conversation.as_str(), nobodys.as_str()),
            "/api/audit/conversation/" => (self.conversation.as_str(), nobodys.as_str()),
            "/api/calendar/appointments/" => (self.appointment.as_str(), nobodys.as_str()),
            "/api/templates/" if rest.is_empty() => (TEMPLATE, "nobodys_template"),
            "/api/templates/" => (self.template.as_str(), nobodys.as_str()),
            "/api/contacts/" => (self.contact.as_str(), nobodys.as_str()),
            // The installation's, not an account's: a test of its own shows who may.
            "/api/admin/projections/" => return None,
            "/api/users/" => (self.user.as_str(), nobodys.as_str()),
            "/api/employees/" => (self.employee.as_str(), nobodys.as_str()),
            "/api/tasks/" => (self.task.as_str(), nobodys.as_str()),
            "/api/auth/sessions/" => (self.session.as_str(), nobodys.as_str()),
            "/api/leads/" => (PHONE, NOBODYS_PHONE),
            other => panic!("this test must learn whose things {other} names"),
        };
        Some((format!("{start}{theirs}{rest}"), format!("{start}{nobodys}{rest}")))
    }
}

/// A body the operation would take.
fn body_of(operation: &str) -> Option<Value> {
    match operation {
        "updateFlow" => Some(json!({ "name": "Mine now", "status": "paused" })),
        "handleConversation" => Some(json!({ "action": "close" })),
        "replyToConversation" => Some(json!({ "messageType": "text", "text": "from a stranger" })),
        "updateUser" => Some(json!({ "displayName": "Mine now", "password": "stolen password" })),
        "updateEmployee" => Some(json!({ "permissions": [], "password": "stolen password" })),
        "updateTask" => Some(json!({ "status": "completed", "comment": "from a stranger" })),
        "updateLead" => Some(json!({ "status": "won" })),
        "triggerFlow" | "sendLeadToFlow" => Some(json!({ "phone": PHONE, "name": "x" })),
        "whatIf" => Some(json!({ "limit": 1 })),
        "publishFlowVersion" | "deleteFlow" | "eraseContact" | "deleteEmployee" | "deleteTask" | "deleteTemplate"
        | "endSession" => None,
        reading => {
            let histories =
                ["listStreamEvents", "getConversationHistory", "getTemplateHistory", "getAppointmentHistory"];
            let known = [
                "getEmployee",
                "getTask",
                "getFlow",
                "listFlowVersions",
                "getConversation",
                "getAppointment",
                "getUser",
                "getLead",
                "getTemplate",
                "triggerFlowByQuery",
            ];
            assert!(
                known.contains(&reading) || histories.contains(&reading),
                "this test must learn what {reading} takes"
            );
            None
        }
    }
}

/// All that is kept, but for sessions.
async fn kept(app: &TestApp) -> Vec<String> {
    let mut all = Vec::new();
    for table in [
        "events",
        "users",
        "tasks",
        "task_comments",
        "whatsapp_lines",
        "flow_view",
        "conversation_view",
        "message_view",
        "lead_view",
        "template_view",
        "template_group_view",
        "appointment_view",
        "appointment_slots",
        "outbox",
        "contact_identifiers",
        "queue_log",
        "incidents",
    ] {
        let statement = format!("select t::text from {table} t order by 1");
        let rows: Vec<String> = sqlx::query_scalar(&statement).fetch_all(&app.database.pool).await.expect("rows");
        all.extend(rows);
    }
    all
}

#[tokio::test]
async fn other_accounts_things_are_not_there() {
    let app = TestApp::start().await;
    let (mallory, owner) = (app.account("mallory").await, app.account("owner").await);
    let things = Things::of(&app, &owner).await;
    tests::app::eventually("the last status", async || {
        let row = owner.get(&format!("/api/conversations/{}", things.conversation)).await.ok();
        let listed = owner.get("/api/conversations?stats=true").await.ok();
        (row["messages"][1]["status"] == "read" && listed[0]["stats"]["read"] == 1).then_some(())
    })
    .await;
    let path = format!("/api/conversations/{}", things.conversation);
    let messages = owner.get(&path).await.ok()["messages"].clone();
    let before = kept(&app).await;
    let document = app.call(Method::GET, "/openapi.json", None, &[]).await.ok();
    let mut asked = 0;
    for (path, operations) in document["paths"].as_object().expect("paths") {
        let Some((theirs, nobodys)) = things.paths(path) else { continue };
        for (method, operation) in operations.as_object().expect("operations") {
            let method: Method = method.to_uppercase().parse().expect("a method");
            let id = operation["operationId"].as_str().expect("a name");
            if operation["x-access"]["rule"] == "administrator" {
                // Of these, nobody but an administrator learns whether there is such a thing.
                for path in [&theirs, &nobodys] {
                    super::refused(&mallory.call(method.clone(), path, None).await, 403, "forbidden");
                }
                continue;
            }
            let body = body_of(id);
            let foreign = mallory.call(method.clone(), &theirs, body.as_ref()).await;
            let unknown = mallory.call(method, &nobodys, body.as_ref()).await;
            super::refused(&unknown, 404, "not_found");
            assert_eq!((foreign.status, &foreign.body), (unknown.status, &unknown.body), "{id}");
            asked += 1;
        }
    }
    assert!(asked >= 14, "{asked}");
    let outbound = async |flow: &str| {
        let body = json!({ "phone": PHONE, "flowId": flow, "templateName": "hi" });
        mallory.post("/api/webhook/outbound", &body).await
    };
    let (foreign, unknown) = (outbound(&things.flow).await, outbound(&Uuid::new_v4().to_string()).await);
    super::refused(&foreign, 404, "not_found");
    assert_eq!(foreign.body, unknown.body);
    let message = messages[1]["id"].as_str().expect("an id");
    for action in ["audit", "retry"] {
        let body = |id: &str| json!({ "action": action, "messageId": id });
        let foreign = mallory.post("/api/monitor/delivery", &body(message)).await;
        let unknown = mallory.post("/api/monitor/delivery", &body(&Uuid::new_v4().to_string())).await;
        super::refused(&foreign, 404, "not_found");
        assert_eq!(foreign.body, unknown.body, "{action}");
    }
    assert_eq!(kept(&app).await, before, "nothing changed");
    let task = |field: &str, id: &str| json!({ "title": "Mine", field: id });
    for (field, theirs) in
        [("conversationId", &things.conversation), ("assigneeId", &things.employee), ("assigneeId", &things.user)]
    {
        let foreign = mallory.post("/api/tasks", &task(field, theirs)).await;
        let unknown = mallory.post("/api/tasks", &task(field, &Uuid::new_v4().to_string())).await;
        super::refused(&unknown, 404, "not_found");
        assert_eq!(foreign.body, unknown.body, "{field}");
    }
    for path in ["audit/entries", "audit/events"] {
        super::refused(&mallory.get(&format!("/api/{path}?account={}", things.user)).await, 403, "forbidden");
    }
    for list in [
        "flows",
        "conversations",
        "leads",
        "calendar/appointments",
        "settings/whatsapp",
        "audit/events",
        "employees",
        "tasks",
        "webhook/queue-logs",
    ] {
        assert_eq!(mallory.get(&format!("/api/{list}")).await.ok(), json!([]), "{list}");
    }
}
