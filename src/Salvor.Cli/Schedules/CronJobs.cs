namespace Salvor.Cli.Schedules;

/// <summary>
/// CronJobs for Kubernetes. There is none for the check: there a probe does that, and an alert on <c>kube_job_failed</c> tells of the rest.
/// </summary>
static class CronJobs
{
    public static string Make(ScheduleSettings settings, string image) => string.Join(
        "---\n", ScheduledJob.All.Where(job => job.Name != "check").Select(job => Job(settings, job, image)));

    static string Job(ScheduleSettings settings, ScheduledJob job, string image) => $"""
        # {job.Purpose}
        apiVersion: batch/v1
        kind: CronJob
        metadata:
          name: salvor-{job.Name}
          labels: {"{"} app.kubernetes.io/name: salvor {"}"}
        spec:
          schedule: "{job.Time.Cron}"
          timeZone: Etc/UTC
          concurrencyPolicy: Forbid
          failedJobsHistoryLimit: 3
          jobTemplate:
            spec:
              backoffLimit: 0
              template:
                metadata:
                  labels: {"{"} app.kubernetes.io/name: salvor {"}"}
                spec:
                  restartPolicy: Never
                  securityContext:
                    runAsNonRoot: true
                    runAsUser: 1000
                    fsGroup: 1000
                    seccompProfile: {"{"} type: RuntimeDefault {"}"}
                  containers:
                    - name: salvor
                      image: {image}
                      args: [{string.Join(", ", settings.CommandOf(job).Skip(1).Select(word => $"\"{word}\""))}]
                      securityContext:
                        allowPrivilegeEscalation: false
                        readOnlyRootFilesystem: true
                        capabilities: {"{"} drop: [ALL] {"}"}
                      volumeMounts:
                        - {"{"} name: config, mountPath: /etc/salvor, readOnly: true {"}"}
                        - {"{"} name: data, mountPath: /data {"}"}
                        - {"{"} name: scratch, mountPath: /tmp {"}"}
                  volumes:
                    - name: config
                      secret: {"{"} secretName: salvor-config {"}"}
                    # The claim of the app's pod: what was verified is written down beside the database, where 'status --check' reads it.
                    - name: data
                      persistentVolumeClaim: {"{"} claimName: app-data-app-0 {"}"}
                    - name: scratch
                      emptyDir: {"{"}{"}"}

        """;
}
