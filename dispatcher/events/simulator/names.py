"""What things and people are called in the simulated organizations."""

GIVEN_NAMES = ("Lucía", "Søren", "Aïcha", "Tomás", "Grace", "Wei", "Zoë", "Jürgen", "Nadia", "Owen", "Iris", "Mateo")
FAMILY_NAMES = ("Fernández", "Nielsen", "O'Brien", "García", "Hopper", "Zhang", "Müller", "Kowalska", "Lange", "Ibáñez")

REPORTING_GROUPS = ("Headquarters", "Sales", "Finance", "Málaga office", "Field service", "Research & Development")

ALERTS = (
    ("Low disk space", "Less than 5 % of the disk is free", ("C:", "D:")),
    ("High CPU usage", "CPU above 95 % for 15 minutes", ("CPU",)),
    ("Memory pressure", "Less than 300 MB of memory available", ("Memory",)),
    ("Antivirus out of date", "Signatures are older than 7 days", ("Microsoft Defender", "SentinelOne")),
    ("Service stopped", 'The service "Print Spooler" has stopped', ("Spooler", "BITS", "wuauserv")),
    ("Battery worn out", "The battery holds less than 40 % of its capacity", ("Battery 0",)),
    ("Blue screen", "The device restarted after a stop error\nBugcheck: 0x0000009F", ("DRIVER_POWER_STATE_FAILURE",)),
)

MICROSERVICES = (
    "Clean temporary files",
    "Repair Outlook profile",
    "Reset Windows Update",
    "Flush DNS cache",
    "Restart print spooler",
    "Collect diagnostics",
    "Clear Teams cache",
)

FLOWS = ("Disk clean-up on alert", "Onboarding of a device", "Weekly maintenance", "Restart after updates")

ENTITY_TYPES = ("Workspace", "Reporting group", "User", "Flow", "Microservice")

RESTART = "Restart"
RUN_MICROSERVICE = "Run microservice"
RUN_FLOW = "Run flow"
REMOTE_ASSISTANCE = "Remote assistance"
SIMPLE_OPERATIONS = (RESTART, "Shutdown", "Log off user", "Install updates", "Wake on LAN", "Send message")
OPERATION_TYPES = (*SIMPLE_OPERATIONS, RUN_MICROSERVICE, RUN_FLOW, REMOTE_ASSISTANCE)
